// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
    uint size2;
    uint size3;
    uint size4;
    uint size5;
    uint size6;
    uint size7;
    uint size8;
};

typedef metal::simdgroup_half8x8 MatrixA;
typedef metal::simdgroup_half8x8 MatrixB;
typedef metal::simdgroup_float8x8 MatrixC;
typedef float type_3[1];
typedef metal::uint2 type_5[1];
typedef uint type_6[1];
struct Block {
    metal::uint2 p0_;
};
struct RawScale {
    uint scale;
    uint other;
};
struct Params {
    uint rows;
    uint first_row;
    uint features;
    uint columns;
    uint x_stride;
    uint out_stride;
    uint part_blocks;
    float global_scale;
    uint out_first;
    float epsilon;
    float alpha;
    float limit;
};
struct type_12 {
    half inner[10240];
};
struct type_13 {
    float inner[64];
};
struct type_14 {
    float inner[512];
};
struct type_15 {
    half inner[4096];
};
struct type_16 {
    float inner[8];
};
constant uint CODE = 2u;
constant uint SCALE = 2u;
constant uint GROUP = 32u;
constant uint ZERO = 0u;
constant uint BIAS = 0u;
constant uint RESIDUAL = 0u;
constant uint MATRIX = 8u;
constant uint SUBGROUP = 32u;
constant uint UNIT = 1u;
constant uint DEPTH = 8u;
constant uint EVEN = 1u;
constant uint EACH = 4u;
constant uint AT_ONCE = 2u;
constant uint INPUT = 0u;
constant uint GATE = 0u;
constant metal::float4 PRESCALE = metal::float4(1.0, 0.25, 0.0625, 0.015625);

float f_negative(
    float x
) {
    return -(x);
}

float f_absolute(
    float x_1
) {
    return metal::abs(x_1);
}

float f_exp(
    float x_2
) {
    return metal::exp(x_2);
}

float f_log(
    float x_3
) {
    return metal::log(x_3);
}

float f_log1p(
    float x_4
) {
    float u = 1.0 + x_4;
    if (u == 1.0) {
        return x_4;
    }
    return metal::log(u) * (x_4 / (u - 1.0));
}

float f_rsqrt(
    float x_5
) {
    return 1.0 / metal::sqrt(x_5);
}

float f_sqrt(
    float x_6
) {
    return metal::sqrt(x_6);
}

float f_sin(
    float x_7
) {
    return metal::sin(x_7);
}

float f_cos(
    float x_8
) {
    return metal::cos(x_8);
}

float f_tanh(
    float x_9
) {
    float e = metal::exp(2.0 * metal::clamp(x_9, -10.0, 10.0));
    if (metal::abs(x_9) < 0.02) {
        return x_9 - (((x_9 * x_9) * x_9) * 0.33333334);
    }
    return (e - 1.0) / (e + 1.0);
}

float f_sigmoid(
    float x_10
) {
    return 1.0 / (1.0 + metal::exp(-(metal::clamp(x_10, -88.0, 88.0))));
}

float f_silu(
    float x_11
) {
    float _e1 = f_sigmoid(x_11);
    return x_11 * _e1;
}

float f_erf(
    float x_12
) {
    float a_11 = metal::abs(x_12);
    if (a_11 < 0.5) {
        float s = x_12 * x_12;
        return (x_12 * metal::fma(s, metal::fma(s, metal::fma(s, metal::fma(s, metal::fma(s, -0.00075757573, 0.0046296297), -0.023809524), 0.1), -0.33333334), 1.0)) * 1.1283792;
    }
    float t = 1.0 / (1.0 + (0.3275911 * a_11));
    float p = t * metal::fma(t, metal::fma(t, metal::fma(t, metal::fma(t, 1.0614054, -1.4531521), 1.4214138), -0.28449672), 0.2548296);
    return metal::sign(x_12) * (1.0 - (p * metal::exp(-(a_11) * a_11)));
}

float f_gelu(
    float x_13
) {
    float _e5 = f_erf(x_13 * 0.70710677);
    return (0.5 * x_13) * (1.0 + _e5);
}

float f_gelu_tanh(
    float x_14
) {
    float _e10 = f_tanh(0.7978846 * (x_14 + (((0.044715 * x_14) * x_14) * x_14)));
    return (0.5 * x_14) * (1.0 + _e10);
}

float f_gelu_fast(
    float x_15
) {
    float _e3 = f_sigmoid(1.702 * x_15);
    return x_15 * _e3;
}

float f_relu(
    float x_16
) {
    return metal::max(x_16, 0.0);
}

float f_relu_squared(
    float x_17
) {
    float y = metal::max(x_17, 0.0);
    return y * y;
}

float f_softplus(
    float x_18
) {
    float _e6 = f_log1p(metal::exp(-(metal::abs(x_18))));
    return metal::max(x_18, 0.0) + _e6;
}

float f_floor(
    float x_19
) {
    return metal::floor(x_19);
}

float f_ceil(
    float x_20
) {
    return metal::ceil(x_20);
}

float f_round(
    float x_21
) {
    return metal::rint(x_21);
}

float f_add(
    float a,
    float b
) {
    return a + b;
}

float f_subtract(
    float a_1,
    float b_1
) {
    return a_1 - b_1;
}

float f_multiply(
    float a_2,
    float b_2
) {
    return a_2 * b_2;
}

float f_divide(
    float a_3,
    float b_3
) {
    return a_3 / b_3;
}

float f_maximum(
    float a_4,
    float b_4
) {
    return metal::max(a_4, b_4);
}

float f_minimum(
    float a_5,
    float b_5
) {
    return metal::min(a_5, b_5);
}

float f_power(
    float a_6,
    float b_6
) {
    return metal::pow(a_6, b_6);
}

float f_less(
    float a_7,
    float b_7
) {
    return (a_7 < b_7) ? 1.0 : 0.0;
}

float f_less_equal(
    float a_8,
    float b_8
) {
    return (a_8 <= b_8) ? 1.0 : 0.0;
}

float f_equal(
    float a_9,
    float b_9
) {
    return (a_9 == b_9) ? 1.0 : 0.0;
}

float f_select(
    float c,
    float a_10,
    float b_10
) {
    return (c != 0.0) ? a_10 : b_10;
}

Block load_block(
    uint block,
    uint lane_1,
    device type_5 const& weight_codes,
    constant _mslBufferSizes& _buffer_sizes
) {
    Block b_11 = {};
    metal::uint2 _e13 = weight_codes[(((block * 1u) + 0u) * 32u) + lane_1];
    b_11.p0_ = _e13;
    Block _e14 = b_11;
    return _e14;
}

metal::float4 small(
    metal::uint4 code
) {
    return as_type<metal::float4>(code | metal::uint4(1258291200u)) - metal::float4(8388608.0);
}

metal::float4 unpack_0_(
    Block b_12
) {
    metal::float4 _e12 = small(metal::uint4(b_12.p0_.x >> 0u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 unpack_1_(
    Block b_13
) {
    metal::float4 _e12 = small(metal::uint4(b_13.p0_.x >> 8u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 unpack_2_(
    Block b_14
) {
    metal::float4 _e12 = small(metal::uint4(b_14.p0_.x >> 16u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 unpack_3_(
    Block b_15
) {
    metal::float4 _e12 = small(metal::uint4(b_15.p0_.x >> 24u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 unpack_4_(
    Block b_16
) {
    metal::float4 _e12 = small(metal::uint4(b_16.p0_.y >> 0u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 unpack_5_(
    Block b_17
) {
    metal::float4 _e12 = small(metal::uint4(b_17.p0_.y >> 8u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 unpack_6_(
    Block b_18
) {
    metal::float4 _e12 = small(metal::uint4(b_18.p0_.y >> 16u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 unpack_7_(
    Block b_19
) {
    metal::float4 _e12 = small(metal::uint4(b_19.p0_.y >> 24u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 weight_0_(
    Block b_20,
    metal::float2 so
) {
    metal::float4 _e2 = unpack_0_(b_20);
    return metal::fma(_e2, PRESCALE * so.x, metal::float4(so.y));
}

metal::float4 weight_1_(
    Block b_21,
    metal::float2 so_1
) {
    metal::float4 _e2 = unpack_1_(b_21);
    return metal::fma(_e2, PRESCALE * so_1.x, metal::float4(so_1.y));
}

metal::float4 weight_2_(
    Block b_22,
    metal::float2 so_2
) {
    metal::float4 _e2 = unpack_2_(b_22);
    return metal::fma(_e2, PRESCALE * so_2.x, metal::float4(so_2.y));
}

metal::float4 weight_3_(
    Block b_23,
    metal::float2 so_3
) {
    metal::float4 _e2 = unpack_3_(b_23);
    return metal::fma(_e2, PRESCALE * so_3.x, metal::float4(so_3.y));
}

metal::float4 weight_4_(
    Block b_24,
    metal::float2 so_4
) {
    metal::float4 _e2 = unpack_4_(b_24);
    return metal::fma(_e2, PRESCALE * so_4.x, metal::float4(so_4.y));
}

metal::float4 weight_5_(
    Block b_25,
    metal::float2 so_5
) {
    metal::float4 _e2 = unpack_5_(b_25);
    return metal::fma(_e2, PRESCALE * so_5.x, metal::float4(so_5.y));
}

metal::float4 weight_6_(
    Block b_26,
    metal::float2 so_6
) {
    metal::float4 _e2 = unpack_6_(b_26);
    return metal::fma(_e2, PRESCALE * so_6.x, metal::float4(so_6.y));
}

metal::float4 weight_7_(
    Block b_27,
    metal::float2 so_7
) {
    metal::float4 _e2 = unpack_7_(b_27);
    return metal::fma(_e2, PRESCALE * so_7.x, metal::float4(so_7.y));
}

RawScale load_scale(
    uint tile,
    uint group_1,
    uint groups,
    uint lane_2,
    device type_6 const& weight_scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    RawScale raw = {};
    uint _e13 = weight_scales[(((tile * groups) + group_1) * 32u) + lane_2];
    raw.scale = _e13;
    RawScale _e14 = raw;
    return _e14;
}

metal::float2 decode_scale(
    RawScale raw_1,
    uint group_2,
    float global
) {
    return metal::float2(as_type<float>(raw_1.scale << 16u), as_type<float>(raw_1.scale & 4294901760u));
}

uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}

uint group_of(
    uint block_1,
    uint half_
) {
    return naga_div(block_1 * 32u, 32u);
}

RawScale raw_scale(
    uint tile_1,
    uint block_2,
    uint blocks,
    uint half_1,
    uint lane_3,
    device type_6 const& weight_scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e5 = group_of(block_2, half_1);
    RawScale _e10 = load_scale(tile_1, _e5, naga_div(blocks * 32u, 32u), lane_3, weight_scales, _buffer_sizes);
    return _e10;
}

metal::float2 scale_offset(
    uint tile_2,
    uint block_3,
    uint blocks_1,
    uint half_2,
    uint lane_4,
    float global_1,
    device type_6 const& weight_scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    RawScale _e6 = raw_scale(tile_2, block_3, blocks_1, half_2, lane_4, weight_scales, _buffer_sizes);
    uint _e7 = group_of(block_3, half_2);
    metal::float2 _e8 = decode_scale(_e6, _e7, global_1);
    return _e8;
}

metal::float2 half_scale(
    RawScale raw_2,
    uint block_4,
    uint half_3,
    float global_2
) {
    uint _e4 = group_of(block_4, half_3);
    metal::float2 _e5 = decode_scale(raw_2, _e4, global_2);
    return 64.0 * _e5;
}

metal::half4 half_0_(
    Block b_28,
    metal::float2 so_8
) {
    metal::float4 _e2 = weight_0_(b_28, so_8);
    return static_cast<metal::half4>(_e2);
}

metal::half4 half_1_(
    Block b_29,
    metal::float2 so_9
) {
    metal::float4 _e2 = weight_1_(b_29, so_9);
    return static_cast<metal::half4>(_e2);
}

metal::half4 half_2_(
    Block b_30,
    metal::float2 so_10
) {
    metal::float4 _e2 = weight_2_(b_30, so_10);
    return static_cast<metal::half4>(_e2);
}

metal::half4 half_3_(
    Block b_31,
    metal::float2 so_11
) {
    metal::float4 _e2 = weight_3_(b_31, so_11);
    return static_cast<metal::half4>(_e2);
}

metal::half4 half_4_(
    Block b_32,
    metal::float2 so_12
) {
    metal::float4 _e2 = weight_4_(b_32, so_12);
    return static_cast<metal::half4>(_e2);
}

metal::half4 half_5_(
    Block b_33,
    metal::float2 so_13
) {
    metal::float4 _e2 = weight_5_(b_33, so_13);
    return static_cast<metal::half4>(_e2);
}

metal::half4 half_6_(
    Block b_34,
    metal::float2 so_14
) {
    metal::float4 _e2 = weight_6_(b_34, so_14);
    return static_cast<metal::half4>(_e2);
}

metal::half4 half_7_(
    Block b_35,
    metal::float2 so_15
) {
    metal::float4 _e2 = weight_7_(b_35, so_15);
    return static_cast<metal::half4>(_e2);
}

void store(
    uint row,
    uint feature,
    float value,
    device type_3& out,
    constant Params& params,
    constant _mslBufferSizes& _buffer_sizes
) {
    bool local = {};
    float sum = {};
    uint _e5 = params.rows;
    if (!((row >= _e5))) {
        uint _e12 = params.features;
        local = feature >= _e12;
    } else {
        local = true;
    }
    bool _e15 = local;
    if (_e15) {
        return;
    }
    sum = value;
    uint _e19 = params.first_row;
    uint _e23 = params.out_stride;
    uint _e27 = params.out_first;
    uint at_1 = (((_e19 + row) * _e23) + _e27) + feature;
    float _e32 = sum;
    out[at_1] = _e32;
    return;
}

void stage(
    uint at,
    metal::half4 value_1,
    threadgroup type_12& staged
) {
    staged.inner[at] = value_1.x;
    staged.inner[at + 1u] = value_1.y;
    staged.inner[at + 2u] = value_1.z;
    staged.inner[at + 3u] = value_1.w;
    return;
}
metal::simdgroup_float8x8 NagaCooperativeLoad(const threadgroup float* ptr, int stride, bool is_row_major) {
    metal::simdgroup_float8x8 m;
    simdgroup_load(m, ptr, stride, 0, is_row_major);
    return m;
}

metal::simdgroup_half8x8 NagaCooperativeLoad(const threadgroup half* ptr, int stride, bool is_row_major) {
    metal::simdgroup_half8x8 m;
    simdgroup_load(m, ptr, stride, 0, is_row_major);
    return m;
}

metal::simdgroup_float8x8 NagaCooperativeMultiplyAdd(const thread metal::simdgroup_half8x8& a, const thread metal::simdgroup_half8x8& b, const thread metal::simdgroup_float8x8& c) {
    metal::simdgroup_float8x8 d;
    simdgroup_multiply_accumulate(d,a,b,c);
    return d;
}

uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}


struct main_Input {
};
[[max_total_threads_per_threadgroup(256)]] kernel void main_(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint thread_ [[thread_index_in_threadgroup]]
, uint subgroup [[simdgroup_index_in_threadgroup]]
, uint lane [[thread_index_in_simdgroup]]
, device type_3 const& x_22 [[user(fake0)]]
, device type_5 const& weight_codes [[user(fake0)]]
, device type_6 const& weight_scales [[user(fake0)]]
, device type_3& out [[user(fake0)]]
, constant Params& params [[user(fake0)]]
, threadgroup type_12& staged
, threadgroup type_13& zeros
, threadgroup type_14& sums
, threadgroup type_15& row_halves
, threadgroup type_16& maxima
, constant _mslBufferSizes& _buffer_sizes [[user(fake0)]]
) {
    if (thread_ == 0u) {
        staged = {};
        zeros = {};
        sums = {};
        row_halves = {};
        maxima = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint i = {};
    metal::simdgroup_float8x8 sum_0_0_ = {};
    metal::simdgroup_float8x8 sum_0_1_ = {};
    metal::simdgroup_float8x8 sum_0_2_ = {};
    metal::simdgroup_float8x8 sum_0_3_ = {};
    Block codes_0_0_ = {};
    RawScale raw_0_0_0_ = {};
    Block codes_1_0_ = {};
    RawScale raw_1_0_0_ = {};
    Block codes_2_0_ = {};
    RawScale raw_2_0_0_ = {};
    Block codes_3_0_ = {};
    RawScale raw_3_0_0_ = {};
    Block codes_4_0_ = {};
    RawScale raw_4_0_0_ = {};
    Block codes_5_0_ = {};
    RawScale raw_5_0_0_ = {};
    Block codes_6_0_ = {};
    RawScale raw_6_0_0_ = {};
    Block codes_7_0_ = {};
    RawScale raw_7_0_0_ = {};
    float value_0_0_ = 0.0;
    float value_0_1_ = 0.0;
    float value_0_2_ = 0.0;
    float value_0_3_ = 0.0;
    float value_1_0_ = 0.0;
    float value_1_1_ = 0.0;
    float value_1_2_ = 0.0;
    float value_1_3_ = 0.0;
    float value_2_0_ = 0.0;
    float value_2_1_ = 0.0;
    float value_2_2_ = 0.0;
    float value_2_3_ = 0.0;
    float value_3_0_ = 0.0;
    float value_3_1_ = 0.0;
    float value_3_2_ = 0.0;
    float value_3_3_ = 0.0;
    float largest = 0.0;
    uint i_1 = {};
    uint i_2 = 0u;
    float total_0_ = 0.0;
    uint round = {};
    uint round_1 = {};
    uint round_2 = {};
    uint round_3 = {};
    uint _e6 = params.columns;
    uint blocks_2 = naga_div(_e6 + 31u, 32u);
    uint tile_3 = group.x;
    uint _e14 = params.part_blocks;
    uint first = subgroup * _e14;
    uint _e18 = params.part_blocks;
    uint end = metal::min(first + _e18, blocks_2);
    uint here = subgroup * 1280u;
    i = thread_;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e31 = i;
            i = _e31 + 256u;
        }
        loop_init = false;
        uint _e24 = i;
        if (_e24 < 64u) {
        } else {
            break;
        }
        {
            uint _e28 = i;
            zeros.inner[_e28] = 0.0;
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    sum_0_0_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
    sum_0_1_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
    sum_0_2_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
    sum_0_3_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
    if ((first + 0u) < end) {
        Block _e65 = load_block(((tile_3 * blocks_2) + first) + 0u, lane + 0u, weight_codes, _buffer_sizes);
        codes_0_0_ = _e65;
        RawScale _e71 = raw_scale(tile_3, first + 0u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_0_0_0_ = _e71;
    }
    if ((first + 1u) < end) {
        Block _e83 = load_block(((tile_3 * blocks_2) + first) + 1u, lane + 0u, weight_codes, _buffer_sizes);
        codes_1_0_ = _e83;
        RawScale _e89 = raw_scale(tile_3, first + 1u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_1_0_0_ = _e89;
    }
    if ((first + 2u) < end) {
        Block _e101 = load_block(((tile_3 * blocks_2) + first) + 2u, lane + 0u, weight_codes, _buffer_sizes);
        codes_2_0_ = _e101;
        RawScale _e107 = raw_scale(tile_3, first + 2u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_2_0_0_ = _e107;
    }
    if ((first + 3u) < end) {
        Block _e119 = load_block(((tile_3 * blocks_2) + first) + 3u, lane + 0u, weight_codes, _buffer_sizes);
        codes_3_0_ = _e119;
        RawScale _e125 = raw_scale(tile_3, first + 3u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_3_0_0_ = _e125;
    }
    if ((first + 4u) < end) {
        Block _e137 = load_block(((tile_3 * blocks_2) + first) + 4u, lane + 0u, weight_codes, _buffer_sizes);
        codes_4_0_ = _e137;
        RawScale _e143 = raw_scale(tile_3, first + 4u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_4_0_0_ = _e143;
    }
    if ((first + 5u) < end) {
        Block _e155 = load_block(((tile_3 * blocks_2) + first) + 5u, lane + 0u, weight_codes, _buffer_sizes);
        codes_5_0_ = _e155;
        RawScale _e161 = raw_scale(tile_3, first + 5u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_5_0_0_ = _e161;
    }
    if ((first + 6u) < end) {
        Block _e173 = load_block(((tile_3 * blocks_2) + first) + 6u, lane + 0u, weight_codes, _buffer_sizes);
        codes_6_0_ = _e173;
        RawScale _e179 = raw_scale(tile_3, first + 6u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_6_0_0_ = _e179;
    }
    if ((first + 7u) < end) {
        Block _e191 = load_block(((tile_3 * blocks_2) + first) + 7u, lane + 0u, weight_codes, _buffer_sizes);
        codes_7_0_ = _e191;
        RawScale _e197 = raw_scale(tile_3, first + 7u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_7_0_0_ = _e197;
    }
    uint _e200 = params.first_row;
    uint _e203 = params.x_stride;
    uint at_2 = _e200 * _e203;
    uint _e211 = params.columns;
    if ((thread_ + 0u) < _e211) {
        uint k = (at_2 + thread_) + 0u;
        float _e218 = x_22[k];
        value_0_0_ = _e218;
    }
    uint _e225 = params.columns;
    if ((thread_ + 1024u) < _e225) {
        uint k_1 = (at_2 + thread_) + 1024u;
        float _e232 = x_22[k_1];
        value_0_1_ = _e232;
    }
    uint _e239 = params.columns;
    if ((thread_ + 2048u) < _e239) {
        uint k_2 = (at_2 + thread_) + 2048u;
        float _e246 = x_22[k_2];
        value_0_2_ = _e246;
    }
    uint _e253 = params.columns;
    if ((thread_ + 3072u) < _e253) {
        uint k_3 = (at_2 + thread_) + 3072u;
        float _e260 = x_22[k_3];
        value_0_3_ = _e260;
    }
    uint _e267 = params.columns;
    if ((thread_ + 256u) < _e267) {
        uint k_4 = (at_2 + thread_) + 256u;
        float _e274 = x_22[k_4];
        value_1_0_ = _e274;
    }
    uint _e281 = params.columns;
    if ((thread_ + 1280u) < _e281) {
        uint k_5 = (at_2 + thread_) + 1280u;
        float _e288 = x_22[k_5];
        value_1_1_ = _e288;
    }
    uint _e295 = params.columns;
    if ((thread_ + 2304u) < _e295) {
        uint k_6 = (at_2 + thread_) + 2304u;
        float _e302 = x_22[k_6];
        value_1_2_ = _e302;
    }
    uint _e309 = params.columns;
    if ((thread_ + 3328u) < _e309) {
        uint k_7 = (at_2 + thread_) + 3328u;
        float _e316 = x_22[k_7];
        value_1_3_ = _e316;
    }
    uint _e323 = params.columns;
    if ((thread_ + 512u) < _e323) {
        uint k_8 = (at_2 + thread_) + 512u;
        float _e330 = x_22[k_8];
        value_2_0_ = _e330;
    }
    uint _e337 = params.columns;
    if ((thread_ + 1536u) < _e337) {
        uint k_9 = (at_2 + thread_) + 1536u;
        float _e344 = x_22[k_9];
        value_2_1_ = _e344;
    }
    uint _e351 = params.columns;
    if ((thread_ + 2560u) < _e351) {
        uint k_10 = (at_2 + thread_) + 2560u;
        float _e358 = x_22[k_10];
        value_2_2_ = _e358;
    }
    uint _e365 = params.columns;
    if ((thread_ + 3584u) < _e365) {
        uint k_11 = (at_2 + thread_) + 3584u;
        float _e372 = x_22[k_11];
        value_2_3_ = _e372;
    }
    uint _e379 = params.columns;
    if ((thread_ + 768u) < _e379) {
        uint k_12 = (at_2 + thread_) + 768u;
        float _e386 = x_22[k_12];
        value_3_0_ = _e386;
    }
    uint _e393 = params.columns;
    if ((thread_ + 1792u) < _e393) {
        uint k_13 = (at_2 + thread_) + 1792u;
        float _e400 = x_22[k_13];
        value_3_1_ = _e400;
    }
    uint _e407 = params.columns;
    if ((thread_ + 2816u) < _e407) {
        uint k_14 = (at_2 + thread_) + 2816u;
        float _e414 = x_22[k_14];
        value_3_2_ = _e414;
    }
    uint _e421 = params.columns;
    if ((thread_ + 3840u) < _e421) {
        uint k_15 = (at_2 + thread_) + 3840u;
        float _e428 = x_22[k_15];
        value_3_3_ = _e428;
    }
    float _e431 = largest;
    float _e432 = value_0_0_;
    largest = metal::max(_e431, metal::abs(_e432));
    float _e435 = largest;
    float _e436 = value_0_1_;
    largest = metal::max(_e435, metal::abs(_e436));
    float _e439 = largest;
    float _e440 = value_0_2_;
    largest = metal::max(_e439, metal::abs(_e440));
    float _e443 = largest;
    float _e444 = value_0_3_;
    largest = metal::max(_e443, metal::abs(_e444));
    float _e447 = largest;
    float _e448 = value_1_0_;
    largest = metal::max(_e447, metal::abs(_e448));
    float _e451 = largest;
    float _e452 = value_1_1_;
    largest = metal::max(_e451, metal::abs(_e452));
    float _e455 = largest;
    float _e456 = value_1_2_;
    largest = metal::max(_e455, metal::abs(_e456));
    float _e459 = largest;
    float _e460 = value_1_3_;
    largest = metal::max(_e459, metal::abs(_e460));
    float _e463 = largest;
    float _e464 = value_2_0_;
    largest = metal::max(_e463, metal::abs(_e464));
    float _e467 = largest;
    float _e468 = value_2_1_;
    largest = metal::max(_e467, metal::abs(_e468));
    float _e471 = largest;
    float _e472 = value_2_2_;
    largest = metal::max(_e471, metal::abs(_e472));
    float _e475 = largest;
    float _e476 = value_2_3_;
    largest = metal::max(_e475, metal::abs(_e476));
    float _e479 = largest;
    float _e480 = value_3_0_;
    largest = metal::max(_e479, metal::abs(_e480));
    float _e483 = largest;
    float _e484 = value_3_1_;
    largest = metal::max(_e483, metal::abs(_e484));
    float _e487 = largest;
    float _e488 = value_3_2_;
    largest = metal::max(_e487, metal::abs(_e488));
    float _e491 = largest;
    float _e492 = value_3_3_;
    largest = metal::max(_e491, metal::abs(_e492));
    float _e495 = largest;
    float unnamed = metal::simd_max(_e495);
    largest = unnamed;
    if (lane == 0u) {
        float _e501 = largest;
        maxima.inner[subgroup] = _e501;
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    largest = 0.0;
    i_1 = lane;
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e513 = i_1;
            i_1 = _e513 + 32u;
        }
        loop_init_1 = false;
        uint _e504 = i_1;
        if (_e504 < 8u) {
        } else {
            break;
        }
        {
            float _e507 = largest;
            uint _e509 = i_1;
            float _e511 = maxima.inner[_e509];
            largest = metal::max(_e507, _e511);
        }
    }
    float _e516 = largest;
    float unnamed_1 = metal::simd_max(_e516);
    largest = unnamed_1;
    float _e518 = largest;
    uint exponent = metal::max((as_type<uint>(_e518) >> 23u) & 255u, 14u);
    float factor = as_type<float>((267u - exponent) << 23u);
    float inverse_factor = as_type<float>((exponent - 13u) << 23u);
    float _e540 = value_0_0_;
    row_halves.inner[thread_ + 0u] = static_cast<half>(_e540 * factor);
    float _e547 = value_0_1_;
    row_halves.inner[thread_ + 1024u] = static_cast<half>(_e547 * factor);
    float _e554 = value_0_2_;
    row_halves.inner[thread_ + 2048u] = static_cast<half>(_e554 * factor);
    float _e561 = value_0_3_;
    row_halves.inner[thread_ + 3072u] = static_cast<half>(_e561 * factor);
    float _e568 = value_1_0_;
    row_halves.inner[thread_ + 256u] = static_cast<half>(_e568 * factor);
    float _e575 = value_1_1_;
    row_halves.inner[thread_ + 1280u] = static_cast<half>(_e575 * factor);
    float _e582 = value_1_2_;
    row_halves.inner[thread_ + 2304u] = static_cast<half>(_e582 * factor);
    float _e589 = value_1_3_;
    row_halves.inner[thread_ + 3328u] = static_cast<half>(_e589 * factor);
    float _e596 = value_2_0_;
    row_halves.inner[thread_ + 512u] = static_cast<half>(_e596 * factor);
    float _e603 = value_2_1_;
    row_halves.inner[thread_ + 1536u] = static_cast<half>(_e603 * factor);
    float _e610 = value_2_2_;
    row_halves.inner[thread_ + 2560u] = static_cast<half>(_e610 * factor);
    float _e617 = value_2_3_;
    row_halves.inner[thread_ + 3584u] = static_cast<half>(_e617 * factor);
    float _e624 = value_3_0_;
    row_halves.inner[thread_ + 768u] = static_cast<half>(_e624 * factor);
    float _e631 = value_3_1_;
    row_halves.inner[thread_ + 1792u] = static_cast<half>(_e631 * factor);
    float _e638 = value_3_2_;
    row_halves.inner[thread_ + 2816u] = static_cast<half>(_e638 * factor);
    float _e645 = value_3_3_;
    row_halves.inner[thread_ + 3840u] = static_cast<half>(_e645 * factor);
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint2 loop_bound_2 = uint2(4294967295u);
    bool loop_init_2 = true;
    while(true) {
        if (metal::all(loop_bound_2 == uint2(0u))) { break; }
        loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
        if (!loop_init_2) {
            uint _e2615 = i_2;
            i_2 = _e2615 + 8u;
        }
        loop_init_2 = false;
        uint _e650 = i_2;
        uint _e653 = params.part_blocks;
        if (_e650 < _e653) {
        } else {
            break;
        }
        {
            {
                uint _e655 = i_2;
                uint block_5 = (first + _e655) + 0u;
                uint x_at = metal::min(block_5, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_ = NagaCooperativeLoad(&row_halves.inner[x_at + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_ = NagaCooperativeLoad(&row_halves.inner[x_at + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_ = NagaCooperativeLoad(&row_halves.inner[x_at + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_ = NagaCooperativeLoad(&row_halves.inner[x_at + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_3 = here + ((lane + 0u) * 40u);
                    bool is_there = block_5 < end;
                    RawScale _e694 = raw_0_0_0_;
                    float _e698 = params.global_scale;
                    metal::float2 _e699 = half_scale(_e694, block_5, 0u, _e698);
                    Block _e704 = codes_0_0_;
                    metal::half4 _e705 = half_0_(_e704, _e699);
                    stage(at_3 + 0u, is_there ? _e705 : metal::half4(0.0h), staged);
                    Block _e711 = codes_0_0_;
                    metal::half4 _e712 = half_1_(_e711, _e699);
                    stage(at_3 + 4u, is_there ? _e712 : metal::half4(0.0h), staged);
                    Block _e718 = codes_0_0_;
                    metal::half4 _e719 = half_2_(_e718, _e699);
                    stage(at_3 + 8u, is_there ? _e719 : metal::half4(0.0h), staged);
                    Block _e725 = codes_0_0_;
                    metal::half4 _e726 = half_3_(_e725, _e699);
                    stage(at_3 + 12u, is_there ? _e726 : metal::half4(0.0h), staged);
                    Block _e732 = codes_0_0_;
                    metal::half4 _e733 = half_4_(_e732, _e699);
                    stage(at_3 + 16u, is_there ? _e733 : metal::half4(0.0h), staged);
                    Block _e739 = codes_0_0_;
                    metal::half4 _e740 = half_5_(_e739, _e699);
                    stage(at_3 + 20u, is_there ? _e740 : metal::half4(0.0h), staged);
                    Block _e746 = codes_0_0_;
                    metal::half4 _e747 = half_6_(_e746, _e699);
                    stage(at_3 + 24u, is_there ? _e747 : metal::half4(0.0h), staged);
                    Block _e753 = codes_0_0_;
                    metal::half4 _e754 = half_7_(_e753, _e699);
                    stage(at_3 + 28u, is_there ? _e754 : metal::half4(0.0h), staged);
                }
                if ((block_5 + 8u) < end) {
                    Block _e765 = load_block(((tile_3 * blocks_2) + block_5) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_0_0_ = _e765;
                    RawScale _e771 = raw_scale(tile_3, block_5 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_0_0_0_ = _e771;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_ = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e778 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_, b_0_, _e778);
                    metal::simdgroup_half8x8 b_1_ = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e786 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_, b_1_, _e786);
                    metal::simdgroup_half8x8 b_2_ = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e794 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_, b_2_, _e794);
                    metal::simdgroup_half8x8 b_3_ = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e802 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_, b_3_, _e802);
                }
                {
                    metal::simdgroup_half8x8 b_0_1 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e810 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_, b_0_1, _e810);
                    metal::simdgroup_half8x8 b_1_1 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e818 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_, b_1_1, _e818);
                    metal::simdgroup_half8x8 b_2_1 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e826 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_, b_2_1, _e826);
                    metal::simdgroup_half8x8 b_3_1 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e834 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_, b_3_1, _e834);
                }
                {
                    metal::simdgroup_half8x8 b_0_2 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e842 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_, b_0_2, _e842);
                    metal::simdgroup_half8x8 b_1_2 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e850 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_, b_1_2, _e850);
                    metal::simdgroup_half8x8 b_2_2 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e858 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_, b_2_2, _e858);
                    metal::simdgroup_half8x8 b_3_2 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e866 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_, b_3_2, _e866);
                }
                {
                    metal::simdgroup_half8x8 b_0_3 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e874 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_, b_0_3, _e874);
                    metal::simdgroup_half8x8 b_1_3 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e882 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_, b_1_3, _e882);
                    metal::simdgroup_half8x8 b_2_3 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e890 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_, b_2_3, _e890);
                    metal::simdgroup_half8x8 b_3_3 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e898 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_, b_3_3, _e898);
                }
            }
            {
                uint _e900 = i_2;
                uint block_6 = (first + _e900) + 1u;
                uint x_at_1 = metal::min(block_6, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_1 = NagaCooperativeLoad(&row_halves.inner[x_at_1 + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_1 = NagaCooperativeLoad(&row_halves.inner[x_at_1 + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_1 = NagaCooperativeLoad(&row_halves.inner[x_at_1 + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_1 = NagaCooperativeLoad(&row_halves.inner[x_at_1 + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_4 = here + ((lane + 0u) * 40u);
                    bool is_there_1 = block_6 < end;
                    RawScale _e939 = raw_1_0_0_;
                    float _e943 = params.global_scale;
                    metal::float2 _e944 = half_scale(_e939, block_6, 0u, _e943);
                    Block _e949 = codes_1_0_;
                    metal::half4 _e950 = half_0_(_e949, _e944);
                    stage(at_4 + 0u, is_there_1 ? _e950 : metal::half4(0.0h), staged);
                    Block _e956 = codes_1_0_;
                    metal::half4 _e957 = half_1_(_e956, _e944);
                    stage(at_4 + 4u, is_there_1 ? _e957 : metal::half4(0.0h), staged);
                    Block _e963 = codes_1_0_;
                    metal::half4 _e964 = half_2_(_e963, _e944);
                    stage(at_4 + 8u, is_there_1 ? _e964 : metal::half4(0.0h), staged);
                    Block _e970 = codes_1_0_;
                    metal::half4 _e971 = half_3_(_e970, _e944);
                    stage(at_4 + 12u, is_there_1 ? _e971 : metal::half4(0.0h), staged);
                    Block _e977 = codes_1_0_;
                    metal::half4 _e978 = half_4_(_e977, _e944);
                    stage(at_4 + 16u, is_there_1 ? _e978 : metal::half4(0.0h), staged);
                    Block _e984 = codes_1_0_;
                    metal::half4 _e985 = half_5_(_e984, _e944);
                    stage(at_4 + 20u, is_there_1 ? _e985 : metal::half4(0.0h), staged);
                    Block _e991 = codes_1_0_;
                    metal::half4 _e992 = half_6_(_e991, _e944);
                    stage(at_4 + 24u, is_there_1 ? _e992 : metal::half4(0.0h), staged);
                    Block _e998 = codes_1_0_;
                    metal::half4 _e999 = half_7_(_e998, _e944);
                    stage(at_4 + 28u, is_there_1 ? _e999 : metal::half4(0.0h), staged);
                }
                if ((block_6 + 8u) < end) {
                    Block _e1010 = load_block(((tile_3 * blocks_2) + block_6) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_1_0_ = _e1010;
                    RawScale _e1016 = raw_scale(tile_3, block_6 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_1_0_0_ = _e1016;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_4 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e1023 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_1, b_0_4, _e1023);
                    metal::simdgroup_half8x8 b_1_4 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e1031 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_1, b_1_4, _e1031);
                    metal::simdgroup_half8x8 b_2_4 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e1039 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_1, b_2_4, _e1039);
                    metal::simdgroup_half8x8 b_3_4 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e1047 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_1, b_3_4, _e1047);
                }
                {
                    metal::simdgroup_half8x8 b_0_5 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e1055 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_1, b_0_5, _e1055);
                    metal::simdgroup_half8x8 b_1_5 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e1063 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_1, b_1_5, _e1063);
                    metal::simdgroup_half8x8 b_2_5 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e1071 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_1, b_2_5, _e1071);
                    metal::simdgroup_half8x8 b_3_5 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e1079 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_1, b_3_5, _e1079);
                }
                {
                    metal::simdgroup_half8x8 b_0_6 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e1087 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_1, b_0_6, _e1087);
                    metal::simdgroup_half8x8 b_1_6 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e1095 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_1, b_1_6, _e1095);
                    metal::simdgroup_half8x8 b_2_6 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e1103 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_1, b_2_6, _e1103);
                    metal::simdgroup_half8x8 b_3_6 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e1111 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_1, b_3_6, _e1111);
                }
                {
                    metal::simdgroup_half8x8 b_0_7 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e1119 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_1, b_0_7, _e1119);
                    metal::simdgroup_half8x8 b_1_7 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e1127 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_1, b_1_7, _e1127);
                    metal::simdgroup_half8x8 b_2_7 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e1135 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_1, b_2_7, _e1135);
                    metal::simdgroup_half8x8 b_3_7 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e1143 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_1, b_3_7, _e1143);
                }
            }
            {
                uint _e1145 = i_2;
                uint block_7 = (first + _e1145) + 2u;
                uint x_at_2 = metal::min(block_7, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_2 = NagaCooperativeLoad(&row_halves.inner[x_at_2 + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_2 = NagaCooperativeLoad(&row_halves.inner[x_at_2 + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_2 = NagaCooperativeLoad(&row_halves.inner[x_at_2 + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_2 = NagaCooperativeLoad(&row_halves.inner[x_at_2 + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_5 = here + ((lane + 0u) * 40u);
                    bool is_there_2 = block_7 < end;
                    RawScale _e1184 = raw_2_0_0_;
                    float _e1188 = params.global_scale;
                    metal::float2 _e1189 = half_scale(_e1184, block_7, 0u, _e1188);
                    Block _e1194 = codes_2_0_;
                    metal::half4 _e1195 = half_0_(_e1194, _e1189);
                    stage(at_5 + 0u, is_there_2 ? _e1195 : metal::half4(0.0h), staged);
                    Block _e1201 = codes_2_0_;
                    metal::half4 _e1202 = half_1_(_e1201, _e1189);
                    stage(at_5 + 4u, is_there_2 ? _e1202 : metal::half4(0.0h), staged);
                    Block _e1208 = codes_2_0_;
                    metal::half4 _e1209 = half_2_(_e1208, _e1189);
                    stage(at_5 + 8u, is_there_2 ? _e1209 : metal::half4(0.0h), staged);
                    Block _e1215 = codes_2_0_;
                    metal::half4 _e1216 = half_3_(_e1215, _e1189);
                    stage(at_5 + 12u, is_there_2 ? _e1216 : metal::half4(0.0h), staged);
                    Block _e1222 = codes_2_0_;
                    metal::half4 _e1223 = half_4_(_e1222, _e1189);
                    stage(at_5 + 16u, is_there_2 ? _e1223 : metal::half4(0.0h), staged);
                    Block _e1229 = codes_2_0_;
                    metal::half4 _e1230 = half_5_(_e1229, _e1189);
                    stage(at_5 + 20u, is_there_2 ? _e1230 : metal::half4(0.0h), staged);
                    Block _e1236 = codes_2_0_;
                    metal::half4 _e1237 = half_6_(_e1236, _e1189);
                    stage(at_5 + 24u, is_there_2 ? _e1237 : metal::half4(0.0h), staged);
                    Block _e1243 = codes_2_0_;
                    metal::half4 _e1244 = half_7_(_e1243, _e1189);
                    stage(at_5 + 28u, is_there_2 ? _e1244 : metal::half4(0.0h), staged);
                }
                if ((block_7 + 8u) < end) {
                    Block _e1255 = load_block(((tile_3 * blocks_2) + block_7) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_2_0_ = _e1255;
                    RawScale _e1261 = raw_scale(tile_3, block_7 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_2_0_0_ = _e1261;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_8 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e1268 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_2, b_0_8, _e1268);
                    metal::simdgroup_half8x8 b_1_8 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e1276 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_2, b_1_8, _e1276);
                    metal::simdgroup_half8x8 b_2_8 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e1284 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_2, b_2_8, _e1284);
                    metal::simdgroup_half8x8 b_3_8 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e1292 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_2, b_3_8, _e1292);
                }
                {
                    metal::simdgroup_half8x8 b_0_9 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e1300 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_2, b_0_9, _e1300);
                    metal::simdgroup_half8x8 b_1_9 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e1308 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_2, b_1_9, _e1308);
                    metal::simdgroup_half8x8 b_2_9 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e1316 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_2, b_2_9, _e1316);
                    metal::simdgroup_half8x8 b_3_9 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e1324 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_2, b_3_9, _e1324);
                }
                {
                    metal::simdgroup_half8x8 b_0_10 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e1332 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_2, b_0_10, _e1332);
                    metal::simdgroup_half8x8 b_1_10 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e1340 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_2, b_1_10, _e1340);
                    metal::simdgroup_half8x8 b_2_10 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e1348 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_2, b_2_10, _e1348);
                    metal::simdgroup_half8x8 b_3_10 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e1356 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_2, b_3_10, _e1356);
                }
                {
                    metal::simdgroup_half8x8 b_0_11 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e1364 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_2, b_0_11, _e1364);
                    metal::simdgroup_half8x8 b_1_11 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e1372 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_2, b_1_11, _e1372);
                    metal::simdgroup_half8x8 b_2_11 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e1380 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_2, b_2_11, _e1380);
                    metal::simdgroup_half8x8 b_3_11 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e1388 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_2, b_3_11, _e1388);
                }
            }
            {
                uint _e1390 = i_2;
                uint block_8 = (first + _e1390) + 3u;
                uint x_at_3 = metal::min(block_8, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_3 = NagaCooperativeLoad(&row_halves.inner[x_at_3 + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_3 = NagaCooperativeLoad(&row_halves.inner[x_at_3 + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_3 = NagaCooperativeLoad(&row_halves.inner[x_at_3 + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_3 = NagaCooperativeLoad(&row_halves.inner[x_at_3 + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_6 = here + ((lane + 0u) * 40u);
                    bool is_there_3 = block_8 < end;
                    RawScale _e1429 = raw_3_0_0_;
                    float _e1433 = params.global_scale;
                    metal::float2 _e1434 = half_scale(_e1429, block_8, 0u, _e1433);
                    Block _e1439 = codes_3_0_;
                    metal::half4 _e1440 = half_0_(_e1439, _e1434);
                    stage(at_6 + 0u, is_there_3 ? _e1440 : metal::half4(0.0h), staged);
                    Block _e1446 = codes_3_0_;
                    metal::half4 _e1447 = half_1_(_e1446, _e1434);
                    stage(at_6 + 4u, is_there_3 ? _e1447 : metal::half4(0.0h), staged);
                    Block _e1453 = codes_3_0_;
                    metal::half4 _e1454 = half_2_(_e1453, _e1434);
                    stage(at_6 + 8u, is_there_3 ? _e1454 : metal::half4(0.0h), staged);
                    Block _e1460 = codes_3_0_;
                    metal::half4 _e1461 = half_3_(_e1460, _e1434);
                    stage(at_6 + 12u, is_there_3 ? _e1461 : metal::half4(0.0h), staged);
                    Block _e1467 = codes_3_0_;
                    metal::half4 _e1468 = half_4_(_e1467, _e1434);
                    stage(at_6 + 16u, is_there_3 ? _e1468 : metal::half4(0.0h), staged);
                    Block _e1474 = codes_3_0_;
                    metal::half4 _e1475 = half_5_(_e1474, _e1434);
                    stage(at_6 + 20u, is_there_3 ? _e1475 : metal::half4(0.0h), staged);
                    Block _e1481 = codes_3_0_;
                    metal::half4 _e1482 = half_6_(_e1481, _e1434);
                    stage(at_6 + 24u, is_there_3 ? _e1482 : metal::half4(0.0h), staged);
                    Block _e1488 = codes_3_0_;
                    metal::half4 _e1489 = half_7_(_e1488, _e1434);
                    stage(at_6 + 28u, is_there_3 ? _e1489 : metal::half4(0.0h), staged);
                }
                if ((block_8 + 8u) < end) {
                    Block _e1500 = load_block(((tile_3 * blocks_2) + block_8) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_3_0_ = _e1500;
                    RawScale _e1506 = raw_scale(tile_3, block_8 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_3_0_0_ = _e1506;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_12 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e1513 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_3, b_0_12, _e1513);
                    metal::simdgroup_half8x8 b_1_12 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e1521 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_3, b_1_12, _e1521);
                    metal::simdgroup_half8x8 b_2_12 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e1529 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_3, b_2_12, _e1529);
                    metal::simdgroup_half8x8 b_3_12 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e1537 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_3, b_3_12, _e1537);
                }
                {
                    metal::simdgroup_half8x8 b_0_13 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e1545 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_3, b_0_13, _e1545);
                    metal::simdgroup_half8x8 b_1_13 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e1553 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_3, b_1_13, _e1553);
                    metal::simdgroup_half8x8 b_2_13 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e1561 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_3, b_2_13, _e1561);
                    metal::simdgroup_half8x8 b_3_13 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e1569 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_3, b_3_13, _e1569);
                }
                {
                    metal::simdgroup_half8x8 b_0_14 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e1577 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_3, b_0_14, _e1577);
                    metal::simdgroup_half8x8 b_1_14 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e1585 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_3, b_1_14, _e1585);
                    metal::simdgroup_half8x8 b_2_14 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e1593 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_3, b_2_14, _e1593);
                    metal::simdgroup_half8x8 b_3_14 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e1601 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_3, b_3_14, _e1601);
                }
                {
                    metal::simdgroup_half8x8 b_0_15 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e1609 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_3, b_0_15, _e1609);
                    metal::simdgroup_half8x8 b_1_15 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e1617 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_3, b_1_15, _e1617);
                    metal::simdgroup_half8x8 b_2_15 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e1625 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_3, b_2_15, _e1625);
                    metal::simdgroup_half8x8 b_3_15 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e1633 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_3, b_3_15, _e1633);
                }
            }
            {
                uint _e1635 = i_2;
                uint block_9 = (first + _e1635) + 4u;
                uint x_at_4 = metal::min(block_9, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_4 = NagaCooperativeLoad(&row_halves.inner[x_at_4 + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_4 = NagaCooperativeLoad(&row_halves.inner[x_at_4 + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_4 = NagaCooperativeLoad(&row_halves.inner[x_at_4 + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_4 = NagaCooperativeLoad(&row_halves.inner[x_at_4 + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_7 = here + ((lane + 0u) * 40u);
                    bool is_there_4 = block_9 < end;
                    RawScale _e1674 = raw_4_0_0_;
                    float _e1678 = params.global_scale;
                    metal::float2 _e1679 = half_scale(_e1674, block_9, 0u, _e1678);
                    Block _e1684 = codes_4_0_;
                    metal::half4 _e1685 = half_0_(_e1684, _e1679);
                    stage(at_7 + 0u, is_there_4 ? _e1685 : metal::half4(0.0h), staged);
                    Block _e1691 = codes_4_0_;
                    metal::half4 _e1692 = half_1_(_e1691, _e1679);
                    stage(at_7 + 4u, is_there_4 ? _e1692 : metal::half4(0.0h), staged);
                    Block _e1698 = codes_4_0_;
                    metal::half4 _e1699 = half_2_(_e1698, _e1679);
                    stage(at_7 + 8u, is_there_4 ? _e1699 : metal::half4(0.0h), staged);
                    Block _e1705 = codes_4_0_;
                    metal::half4 _e1706 = half_3_(_e1705, _e1679);
                    stage(at_7 + 12u, is_there_4 ? _e1706 : metal::half4(0.0h), staged);
                    Block _e1712 = codes_4_0_;
                    metal::half4 _e1713 = half_4_(_e1712, _e1679);
                    stage(at_7 + 16u, is_there_4 ? _e1713 : metal::half4(0.0h), staged);
                    Block _e1719 = codes_4_0_;
                    metal::half4 _e1720 = half_5_(_e1719, _e1679);
                    stage(at_7 + 20u, is_there_4 ? _e1720 : metal::half4(0.0h), staged);
                    Block _e1726 = codes_4_0_;
                    metal::half4 _e1727 = half_6_(_e1726, _e1679);
                    stage(at_7 + 24u, is_there_4 ? _e1727 : metal::half4(0.0h), staged);
                    Block _e1733 = codes_4_0_;
                    metal::half4 _e1734 = half_7_(_e1733, _e1679);
                    stage(at_7 + 28u, is_there_4 ? _e1734 : metal::half4(0.0h), staged);
                }
                if ((block_9 + 8u) < end) {
                    Block _e1745 = load_block(((tile_3 * blocks_2) + block_9) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_4_0_ = _e1745;
                    RawScale _e1751 = raw_scale(tile_3, block_9 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_4_0_0_ = _e1751;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_16 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e1758 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_4, b_0_16, _e1758);
                    metal::simdgroup_half8x8 b_1_16 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e1766 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_4, b_1_16, _e1766);
                    metal::simdgroup_half8x8 b_2_16 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e1774 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_4, b_2_16, _e1774);
                    metal::simdgroup_half8x8 b_3_16 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e1782 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_4, b_3_16, _e1782);
                }
                {
                    metal::simdgroup_half8x8 b_0_17 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e1790 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_4, b_0_17, _e1790);
                    metal::simdgroup_half8x8 b_1_17 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e1798 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_4, b_1_17, _e1798);
                    metal::simdgroup_half8x8 b_2_17 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e1806 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_4, b_2_17, _e1806);
                    metal::simdgroup_half8x8 b_3_17 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e1814 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_4, b_3_17, _e1814);
                }
                {
                    metal::simdgroup_half8x8 b_0_18 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e1822 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_4, b_0_18, _e1822);
                    metal::simdgroup_half8x8 b_1_18 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e1830 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_4, b_1_18, _e1830);
                    metal::simdgroup_half8x8 b_2_18 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e1838 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_4, b_2_18, _e1838);
                    metal::simdgroup_half8x8 b_3_18 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e1846 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_4, b_3_18, _e1846);
                }
                {
                    metal::simdgroup_half8x8 b_0_19 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e1854 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_4, b_0_19, _e1854);
                    metal::simdgroup_half8x8 b_1_19 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e1862 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_4, b_1_19, _e1862);
                    metal::simdgroup_half8x8 b_2_19 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e1870 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_4, b_2_19, _e1870);
                    metal::simdgroup_half8x8 b_3_19 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e1878 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_4, b_3_19, _e1878);
                }
            }
            {
                uint _e1880 = i_2;
                uint block_10 = (first + _e1880) + 5u;
                uint x_at_5 = metal::min(block_10, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_5 = NagaCooperativeLoad(&row_halves.inner[x_at_5 + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_5 = NagaCooperativeLoad(&row_halves.inner[x_at_5 + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_5 = NagaCooperativeLoad(&row_halves.inner[x_at_5 + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_5 = NagaCooperativeLoad(&row_halves.inner[x_at_5 + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_8 = here + ((lane + 0u) * 40u);
                    bool is_there_5 = block_10 < end;
                    RawScale _e1919 = raw_5_0_0_;
                    float _e1923 = params.global_scale;
                    metal::float2 _e1924 = half_scale(_e1919, block_10, 0u, _e1923);
                    Block _e1929 = codes_5_0_;
                    metal::half4 _e1930 = half_0_(_e1929, _e1924);
                    stage(at_8 + 0u, is_there_5 ? _e1930 : metal::half4(0.0h), staged);
                    Block _e1936 = codes_5_0_;
                    metal::half4 _e1937 = half_1_(_e1936, _e1924);
                    stage(at_8 + 4u, is_there_5 ? _e1937 : metal::half4(0.0h), staged);
                    Block _e1943 = codes_5_0_;
                    metal::half4 _e1944 = half_2_(_e1943, _e1924);
                    stage(at_8 + 8u, is_there_5 ? _e1944 : metal::half4(0.0h), staged);
                    Block _e1950 = codes_5_0_;
                    metal::half4 _e1951 = half_3_(_e1950, _e1924);
                    stage(at_8 + 12u, is_there_5 ? _e1951 : metal::half4(0.0h), staged);
                    Block _e1957 = codes_5_0_;
                    metal::half4 _e1958 = half_4_(_e1957, _e1924);
                    stage(at_8 + 16u, is_there_5 ? _e1958 : metal::half4(0.0h), staged);
                    Block _e1964 = codes_5_0_;
                    metal::half4 _e1965 = half_5_(_e1964, _e1924);
                    stage(at_8 + 20u, is_there_5 ? _e1965 : metal::half4(0.0h), staged);
                    Block _e1971 = codes_5_0_;
                    metal::half4 _e1972 = half_6_(_e1971, _e1924);
                    stage(at_8 + 24u, is_there_5 ? _e1972 : metal::half4(0.0h), staged);
                    Block _e1978 = codes_5_0_;
                    metal::half4 _e1979 = half_7_(_e1978, _e1924);
                    stage(at_8 + 28u, is_there_5 ? _e1979 : metal::half4(0.0h), staged);
                }
                if ((block_10 + 8u) < end) {
                    Block _e1990 = load_block(((tile_3 * blocks_2) + block_10) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_5_0_ = _e1990;
                    RawScale _e1996 = raw_scale(tile_3, block_10 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_5_0_0_ = _e1996;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_20 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e2003 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_5, b_0_20, _e2003);
                    metal::simdgroup_half8x8 b_1_20 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e2011 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_5, b_1_20, _e2011);
                    metal::simdgroup_half8x8 b_2_20 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e2019 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_5, b_2_20, _e2019);
                    metal::simdgroup_half8x8 b_3_20 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e2027 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_5, b_3_20, _e2027);
                }
                {
                    metal::simdgroup_half8x8 b_0_21 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e2035 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_5, b_0_21, _e2035);
                    metal::simdgroup_half8x8 b_1_21 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e2043 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_5, b_1_21, _e2043);
                    metal::simdgroup_half8x8 b_2_21 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e2051 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_5, b_2_21, _e2051);
                    metal::simdgroup_half8x8 b_3_21 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e2059 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_5, b_3_21, _e2059);
                }
                {
                    metal::simdgroup_half8x8 b_0_22 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e2067 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_5, b_0_22, _e2067);
                    metal::simdgroup_half8x8 b_1_22 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e2075 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_5, b_1_22, _e2075);
                    metal::simdgroup_half8x8 b_2_22 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e2083 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_5, b_2_22, _e2083);
                    metal::simdgroup_half8x8 b_3_22 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e2091 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_5, b_3_22, _e2091);
                }
                {
                    metal::simdgroup_half8x8 b_0_23 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e2099 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_5, b_0_23, _e2099);
                    metal::simdgroup_half8x8 b_1_23 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e2107 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_5, b_1_23, _e2107);
                    metal::simdgroup_half8x8 b_2_23 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e2115 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_5, b_2_23, _e2115);
                    metal::simdgroup_half8x8 b_3_23 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e2123 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_5, b_3_23, _e2123);
                }
            }
            {
                uint _e2125 = i_2;
                uint block_11 = (first + _e2125) + 6u;
                uint x_at_6 = metal::min(block_11, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_6 = NagaCooperativeLoad(&row_halves.inner[x_at_6 + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_6 = NagaCooperativeLoad(&row_halves.inner[x_at_6 + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_6 = NagaCooperativeLoad(&row_halves.inner[x_at_6 + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_6 = NagaCooperativeLoad(&row_halves.inner[x_at_6 + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_9 = here + ((lane + 0u) * 40u);
                    bool is_there_6 = block_11 < end;
                    RawScale _e2164 = raw_6_0_0_;
                    float _e2168 = params.global_scale;
                    metal::float2 _e2169 = half_scale(_e2164, block_11, 0u, _e2168);
                    Block _e2174 = codes_6_0_;
                    metal::half4 _e2175 = half_0_(_e2174, _e2169);
                    stage(at_9 + 0u, is_there_6 ? _e2175 : metal::half4(0.0h), staged);
                    Block _e2181 = codes_6_0_;
                    metal::half4 _e2182 = half_1_(_e2181, _e2169);
                    stage(at_9 + 4u, is_there_6 ? _e2182 : metal::half4(0.0h), staged);
                    Block _e2188 = codes_6_0_;
                    metal::half4 _e2189 = half_2_(_e2188, _e2169);
                    stage(at_9 + 8u, is_there_6 ? _e2189 : metal::half4(0.0h), staged);
                    Block _e2195 = codes_6_0_;
                    metal::half4 _e2196 = half_3_(_e2195, _e2169);
                    stage(at_9 + 12u, is_there_6 ? _e2196 : metal::half4(0.0h), staged);
                    Block _e2202 = codes_6_0_;
                    metal::half4 _e2203 = half_4_(_e2202, _e2169);
                    stage(at_9 + 16u, is_there_6 ? _e2203 : metal::half4(0.0h), staged);
                    Block _e2209 = codes_6_0_;
                    metal::half4 _e2210 = half_5_(_e2209, _e2169);
                    stage(at_9 + 20u, is_there_6 ? _e2210 : metal::half4(0.0h), staged);
                    Block _e2216 = codes_6_0_;
                    metal::half4 _e2217 = half_6_(_e2216, _e2169);
                    stage(at_9 + 24u, is_there_6 ? _e2217 : metal::half4(0.0h), staged);
                    Block _e2223 = codes_6_0_;
                    metal::half4 _e2224 = half_7_(_e2223, _e2169);
                    stage(at_9 + 28u, is_there_6 ? _e2224 : metal::half4(0.0h), staged);
                }
                if ((block_11 + 8u) < end) {
                    Block _e2235 = load_block(((tile_3 * blocks_2) + block_11) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_6_0_ = _e2235;
                    RawScale _e2241 = raw_scale(tile_3, block_11 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_6_0_0_ = _e2241;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_24 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e2248 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_6, b_0_24, _e2248);
                    metal::simdgroup_half8x8 b_1_24 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e2256 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_6, b_1_24, _e2256);
                    metal::simdgroup_half8x8 b_2_24 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e2264 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_6, b_2_24, _e2264);
                    metal::simdgroup_half8x8 b_3_24 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e2272 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_6, b_3_24, _e2272);
                }
                {
                    metal::simdgroup_half8x8 b_0_25 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e2280 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_6, b_0_25, _e2280);
                    metal::simdgroup_half8x8 b_1_25 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e2288 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_6, b_1_25, _e2288);
                    metal::simdgroup_half8x8 b_2_25 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e2296 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_6, b_2_25, _e2296);
                    metal::simdgroup_half8x8 b_3_25 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e2304 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_6, b_3_25, _e2304);
                }
                {
                    metal::simdgroup_half8x8 b_0_26 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e2312 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_6, b_0_26, _e2312);
                    metal::simdgroup_half8x8 b_1_26 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e2320 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_6, b_1_26, _e2320);
                    metal::simdgroup_half8x8 b_2_26 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e2328 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_6, b_2_26, _e2328);
                    metal::simdgroup_half8x8 b_3_26 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e2336 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_6, b_3_26, _e2336);
                }
                {
                    metal::simdgroup_half8x8 b_0_27 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e2344 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_6, b_0_27, _e2344);
                    metal::simdgroup_half8x8 b_1_27 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e2352 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_6, b_1_27, _e2352);
                    metal::simdgroup_half8x8 b_2_27 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e2360 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_6, b_2_27, _e2360);
                    metal::simdgroup_half8x8 b_3_27 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e2368 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_6, b_3_27, _e2368);
                }
            }
            {
                uint _e2370 = i_2;
                uint block_12 = (first + _e2370) + 7u;
                uint x_at_7 = metal::min(block_12, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_7 = NagaCooperativeLoad(&row_halves.inner[x_at_7 + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_7 = NagaCooperativeLoad(&row_halves.inner[x_at_7 + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_7 = NagaCooperativeLoad(&row_halves.inner[x_at_7 + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_7 = NagaCooperativeLoad(&row_halves.inner[x_at_7 + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_10 = here + ((lane + 0u) * 40u);
                    bool is_there_7 = block_12 < end;
                    RawScale _e2409 = raw_7_0_0_;
                    float _e2413 = params.global_scale;
                    metal::float2 _e2414 = half_scale(_e2409, block_12, 0u, _e2413);
                    Block _e2419 = codes_7_0_;
                    metal::half4 _e2420 = half_0_(_e2419, _e2414);
                    stage(at_10 + 0u, is_there_7 ? _e2420 : metal::half4(0.0h), staged);
                    Block _e2426 = codes_7_0_;
                    metal::half4 _e2427 = half_1_(_e2426, _e2414);
                    stage(at_10 + 4u, is_there_7 ? _e2427 : metal::half4(0.0h), staged);
                    Block _e2433 = codes_7_0_;
                    metal::half4 _e2434 = half_2_(_e2433, _e2414);
                    stage(at_10 + 8u, is_there_7 ? _e2434 : metal::half4(0.0h), staged);
                    Block _e2440 = codes_7_0_;
                    metal::half4 _e2441 = half_3_(_e2440, _e2414);
                    stage(at_10 + 12u, is_there_7 ? _e2441 : metal::half4(0.0h), staged);
                    Block _e2447 = codes_7_0_;
                    metal::half4 _e2448 = half_4_(_e2447, _e2414);
                    stage(at_10 + 16u, is_there_7 ? _e2448 : metal::half4(0.0h), staged);
                    Block _e2454 = codes_7_0_;
                    metal::half4 _e2455 = half_5_(_e2454, _e2414);
                    stage(at_10 + 20u, is_there_7 ? _e2455 : metal::half4(0.0h), staged);
                    Block _e2461 = codes_7_0_;
                    metal::half4 _e2462 = half_6_(_e2461, _e2414);
                    stage(at_10 + 24u, is_there_7 ? _e2462 : metal::half4(0.0h), staged);
                    Block _e2468 = codes_7_0_;
                    metal::half4 _e2469 = half_7_(_e2468, _e2414);
                    stage(at_10 + 28u, is_there_7 ? _e2469 : metal::half4(0.0h), staged);
                }
                if ((block_12 + 8u) < end) {
                    Block _e2480 = load_block(((tile_3 * blocks_2) + block_12) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_7_0_ = _e2480;
                    RawScale _e2486 = raw_scale(tile_3, block_12 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_7_0_0_ = _e2486;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_28 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e2493 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_7, b_0_28, _e2493);
                    metal::simdgroup_half8x8 b_1_28 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e2501 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_7, b_1_28, _e2501);
                    metal::simdgroup_half8x8 b_2_28 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e2509 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_7, b_2_28, _e2509);
                    metal::simdgroup_half8x8 b_3_28 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e2517 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_7, b_3_28, _e2517);
                }
                {
                    metal::simdgroup_half8x8 b_0_29 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e2525 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_7, b_0_29, _e2525);
                    metal::simdgroup_half8x8 b_1_29 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e2533 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_7, b_1_29, _e2533);
                    metal::simdgroup_half8x8 b_2_29 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e2541 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_7, b_2_29, _e2541);
                    metal::simdgroup_half8x8 b_3_29 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e2549 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_7, b_3_29, _e2549);
                }
                {
                    metal::simdgroup_half8x8 b_0_30 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e2557 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_7, b_0_30, _e2557);
                    metal::simdgroup_half8x8 b_1_30 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e2565 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_7, b_1_30, _e2565);
                    metal::simdgroup_half8x8 b_2_30 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e2573 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_7, b_2_30, _e2573);
                    metal::simdgroup_half8x8 b_3_30 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e2581 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_7, b_3_30, _e2581);
                }
                {
                    metal::simdgroup_half8x8 b_0_31 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e2589 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_7, b_0_31, _e2589);
                    metal::simdgroup_half8x8 b_1_31 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e2597 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_7, b_1_31, _e2597);
                    metal::simdgroup_half8x8 b_2_31 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e2605 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_7, b_2_31, _e2605);
                    metal::simdgroup_half8x8 b_3_31 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e2613 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_7, b_3_31, _e2613);
                }
            }
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    round = naga_div(subgroup, 2u);
    uint2 loop_bound_3 = uint2(4294967295u);
    bool loop_init_3 = true;
    while(true) {
        if (metal::all(loop_bound_3 == uint2(0u))) { break; }
        loop_bound_3 -= uint2(loop_bound_3.y == 0u, 1u);
        if (!loop_init_3) {
            round = 8u;
        }
        loop_init_3 = false;
        uint _e2623 = round;
        if (_e2623 == 0u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e2626 = sum_0_0_;
            simdgroup_store(_e2626, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e2640 = sum_0_1_;
            simdgroup_store(_e2640, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e2654 = sum_0_2_;
            simdgroup_store(_e2654, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e2668 = sum_0_3_;
            simdgroup_store(_e2668, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e2683 = total_0_;
    float _e2688 = sums.inner[0u + thread_];
    total_0_ = _e2683 + _e2688;
    float _e2690 = total_0_;
    float _e2695 = sums.inner[256u + thread_];
    total_0_ = _e2690 + _e2695;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    round_1 = naga_div(subgroup, 2u);
    uint2 loop_bound_4 = uint2(4294967295u);
    bool loop_init_4 = true;
    while(true) {
        if (metal::all(loop_bound_4 == uint2(0u))) { break; }
        loop_bound_4 -= uint2(loop_bound_4.y == 0u, 1u);
        if (!loop_init_4) {
            round_1 = 8u;
        }
        loop_init_4 = false;
        uint _e2700 = round_1;
        if (_e2700 == 1u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e2703 = sum_0_0_;
            simdgroup_store(_e2703, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e2717 = sum_0_1_;
            simdgroup_store(_e2717, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e2731 = sum_0_2_;
            simdgroup_store(_e2731, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e2745 = sum_0_3_;
            simdgroup_store(_e2745, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e2760 = total_0_;
    float _e2765 = sums.inner[0u + thread_];
    total_0_ = _e2760 + _e2765;
    float _e2767 = total_0_;
    float _e2772 = sums.inner[256u + thread_];
    total_0_ = _e2767 + _e2772;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    round_2 = naga_div(subgroup, 2u);
    uint2 loop_bound_5 = uint2(4294967295u);
    bool loop_init_5 = true;
    while(true) {
        if (metal::all(loop_bound_5 == uint2(0u))) { break; }
        loop_bound_5 -= uint2(loop_bound_5.y == 0u, 1u);
        if (!loop_init_5) {
            round_2 = 8u;
        }
        loop_init_5 = false;
        uint _e2777 = round_2;
        if (_e2777 == 2u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e2780 = sum_0_0_;
            simdgroup_store(_e2780, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e2794 = sum_0_1_;
            simdgroup_store(_e2794, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e2808 = sum_0_2_;
            simdgroup_store(_e2808, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e2822 = sum_0_3_;
            simdgroup_store(_e2822, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e2837 = total_0_;
    float _e2842 = sums.inner[0u + thread_];
    total_0_ = _e2837 + _e2842;
    float _e2844 = total_0_;
    float _e2849 = sums.inner[256u + thread_];
    total_0_ = _e2844 + _e2849;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    round_3 = naga_div(subgroup, 2u);
    uint2 loop_bound_6 = uint2(4294967295u);
    bool loop_init_6 = true;
    while(true) {
        if (metal::all(loop_bound_6 == uint2(0u))) { break; }
        loop_bound_6 -= uint2(loop_bound_6.y == 0u, 1u);
        if (!loop_init_6) {
            round_3 = 8u;
        }
        loop_init_6 = false;
        uint _e2854 = round_3;
        if (_e2854 == 3u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e2857 = sum_0_0_;
            simdgroup_store(_e2857, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e2871 = sum_0_1_;
            simdgroup_store(_e2871, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e2885 = sum_0_2_;
            simdgroup_store(_e2885, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e2899 = sum_0_3_;
            simdgroup_store(_e2899, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e2914 = total_0_;
    float _e2919 = sums.inner[0u + thread_];
    total_0_ = _e2914 + _e2919;
    float _e2921 = total_0_;
    float _e2926 = sums.inner[256u + thread_];
    total_0_ = _e2921 + _e2926;
    {
        uint row_1 = naga_div(thread_ + 0u, 32u);
        float _e2939 = total_0_;
        store(row_1, (tile_3 * 32u) + naga_mod(thread_ + 0u, 32u), (_e2939 * inverse_factor) * 0.015625, out, params, _buffer_sizes);
        return;
    }
}

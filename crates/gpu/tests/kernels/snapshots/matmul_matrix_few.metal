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
constant uint ROW_TILES = 1u;
constant uint DEPTH = 8u;
constant uint EVEN = 1u;
constant uint INPUT = 0u;
constant uint GATE = 0u;
constant uint FUSED = 1u;
constant uint AT_ONCE = 2u;
constant uint EACH = 4u;
constant metal::float4 PRESCALE = metal::float4(1.0, 0.25, 0.0625, 0.015625);
constant metal::float4 UNSCALE = metal::float4(1.0, 4.0, 16.0, 64.0);

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
    Block b_20,
    metal::float2 so
) {
    metal::float4 _e2 = unpack_0_(b_20);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so.x, metal::float4(so.y)));
}

metal::half4 half_1_(
    Block b_21,
    metal::float2 so_1
) {
    metal::float4 _e2 = unpack_1_(b_21);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so_1.x, metal::float4(so_1.y)));
}

metal::half4 half_2_(
    Block b_22,
    metal::float2 so_2
) {
    metal::float4 _e2 = unpack_2_(b_22);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so_2.x, metal::float4(so_2.y)));
}

metal::half4 half_3_(
    Block b_23,
    metal::float2 so_3
) {
    metal::float4 _e2 = unpack_3_(b_23);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so_3.x, metal::float4(so_3.y)));
}

metal::half4 half_4_(
    Block b_24,
    metal::float2 so_4
) {
    metal::float4 _e2 = unpack_4_(b_24);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so_4.x, metal::float4(so_4.y)));
}

metal::half4 half_5_(
    Block b_25,
    metal::float2 so_5
) {
    metal::float4 _e2 = unpack_5_(b_25);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so_5.x, metal::float4(so_5.y)));
}

metal::half4 half_6_(
    Block b_26,
    metal::float2 so_6
) {
    metal::float4 _e2 = unpack_6_(b_26);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so_6.x, metal::float4(so_6.y)));
}

metal::half4 half_7_(
    Block b_27,
    metal::float2 so_7
) {
    metal::float4 _e2 = unpack_7_(b_27);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so_7.x, metal::float4(so_7.y)));
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
    uint first_row = group.y * 8u;
    uint here = subgroup * 1280u;
    i = thread_;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e34 = i;
            i = _e34 + 256u;
        }
        loop_init = false;
        uint _e27 = i;
        if (_e27 < 64u) {
        } else {
            break;
        }
        {
            uint _e31 = i;
            zeros.inner[_e31] = 0.0;
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    sum_0_0_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
    sum_0_1_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
    sum_0_2_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
    sum_0_3_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
    if ((first + 0u) < end) {
        Block _e68 = load_block(((tile_3 * blocks_2) + first) + 0u, lane + 0u, weight_codes, _buffer_sizes);
        codes_0_0_ = _e68;
        RawScale _e74 = raw_scale(tile_3, first + 0u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_0_0_0_ = _e74;
    }
    if ((first + 1u) < end) {
        Block _e86 = load_block(((tile_3 * blocks_2) + first) + 1u, lane + 0u, weight_codes, _buffer_sizes);
        codes_1_0_ = _e86;
        RawScale _e92 = raw_scale(tile_3, first + 1u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_1_0_0_ = _e92;
    }
    if ((first + 2u) < end) {
        Block _e104 = load_block(((tile_3 * blocks_2) + first) + 2u, lane + 0u, weight_codes, _buffer_sizes);
        codes_2_0_ = _e104;
        RawScale _e110 = raw_scale(tile_3, first + 2u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_2_0_0_ = _e110;
    }
    if ((first + 3u) < end) {
        Block _e122 = load_block(((tile_3 * blocks_2) + first) + 3u, lane + 0u, weight_codes, _buffer_sizes);
        codes_3_0_ = _e122;
        RawScale _e128 = raw_scale(tile_3, first + 3u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_3_0_0_ = _e128;
    }
    if ((first + 4u) < end) {
        Block _e140 = load_block(((tile_3 * blocks_2) + first) + 4u, lane + 0u, weight_codes, _buffer_sizes);
        codes_4_0_ = _e140;
        RawScale _e146 = raw_scale(tile_3, first + 4u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_4_0_0_ = _e146;
    }
    if ((first + 5u) < end) {
        Block _e158 = load_block(((tile_3 * blocks_2) + first) + 5u, lane + 0u, weight_codes, _buffer_sizes);
        codes_5_0_ = _e158;
        RawScale _e164 = raw_scale(tile_3, first + 5u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_5_0_0_ = _e164;
    }
    if ((first + 6u) < end) {
        Block _e176 = load_block(((tile_3 * blocks_2) + first) + 6u, lane + 0u, weight_codes, _buffer_sizes);
        codes_6_0_ = _e176;
        RawScale _e182 = raw_scale(tile_3, first + 6u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_6_0_0_ = _e182;
    }
    if ((first + 7u) < end) {
        Block _e194 = load_block(((tile_3 * blocks_2) + first) + 7u, lane + 0u, weight_codes, _buffer_sizes);
        codes_7_0_ = _e194;
        RawScale _e200 = raw_scale(tile_3, first + 7u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
        raw_7_0_0_ = _e200;
    }
    uint _e203 = params.first_row;
    uint _e206 = params.x_stride;
    uint at_2 = _e203 * _e206;
    uint _e214 = params.columns;
    if ((thread_ + 0u) < _e214) {
        uint k = (at_2 + thread_) + 0u;
        float _e221 = x_22[k];
        value_0_0_ = _e221;
    }
    uint _e228 = params.columns;
    if ((thread_ + 1024u) < _e228) {
        uint k_1 = (at_2 + thread_) + 1024u;
        float _e235 = x_22[k_1];
        value_0_1_ = _e235;
    }
    uint _e242 = params.columns;
    if ((thread_ + 2048u) < _e242) {
        uint k_2 = (at_2 + thread_) + 2048u;
        float _e249 = x_22[k_2];
        value_0_2_ = _e249;
    }
    uint _e256 = params.columns;
    if ((thread_ + 3072u) < _e256) {
        uint k_3 = (at_2 + thread_) + 3072u;
        float _e263 = x_22[k_3];
        value_0_3_ = _e263;
    }
    uint _e270 = params.columns;
    if ((thread_ + 256u) < _e270) {
        uint k_4 = (at_2 + thread_) + 256u;
        float _e277 = x_22[k_4];
        value_1_0_ = _e277;
    }
    uint _e284 = params.columns;
    if ((thread_ + 1280u) < _e284) {
        uint k_5 = (at_2 + thread_) + 1280u;
        float _e291 = x_22[k_5];
        value_1_1_ = _e291;
    }
    uint _e298 = params.columns;
    if ((thread_ + 2304u) < _e298) {
        uint k_6 = (at_2 + thread_) + 2304u;
        float _e305 = x_22[k_6];
        value_1_2_ = _e305;
    }
    uint _e312 = params.columns;
    if ((thread_ + 3328u) < _e312) {
        uint k_7 = (at_2 + thread_) + 3328u;
        float _e319 = x_22[k_7];
        value_1_3_ = _e319;
    }
    uint _e326 = params.columns;
    if ((thread_ + 512u) < _e326) {
        uint k_8 = (at_2 + thread_) + 512u;
        float _e333 = x_22[k_8];
        value_2_0_ = _e333;
    }
    uint _e340 = params.columns;
    if ((thread_ + 1536u) < _e340) {
        uint k_9 = (at_2 + thread_) + 1536u;
        float _e347 = x_22[k_9];
        value_2_1_ = _e347;
    }
    uint _e354 = params.columns;
    if ((thread_ + 2560u) < _e354) {
        uint k_10 = (at_2 + thread_) + 2560u;
        float _e361 = x_22[k_10];
        value_2_2_ = _e361;
    }
    uint _e368 = params.columns;
    if ((thread_ + 3584u) < _e368) {
        uint k_11 = (at_2 + thread_) + 3584u;
        float _e375 = x_22[k_11];
        value_2_3_ = _e375;
    }
    uint _e382 = params.columns;
    if ((thread_ + 768u) < _e382) {
        uint k_12 = (at_2 + thread_) + 768u;
        float _e389 = x_22[k_12];
        value_3_0_ = _e389;
    }
    uint _e396 = params.columns;
    if ((thread_ + 1792u) < _e396) {
        uint k_13 = (at_2 + thread_) + 1792u;
        float _e403 = x_22[k_13];
        value_3_1_ = _e403;
    }
    uint _e410 = params.columns;
    if ((thread_ + 2816u) < _e410) {
        uint k_14 = (at_2 + thread_) + 2816u;
        float _e417 = x_22[k_14];
        value_3_2_ = _e417;
    }
    uint _e424 = params.columns;
    if ((thread_ + 3840u) < _e424) {
        uint k_15 = (at_2 + thread_) + 3840u;
        float _e431 = x_22[k_15];
        value_3_3_ = _e431;
    }
    float _e434 = largest;
    float _e435 = value_0_0_;
    largest = metal::max(_e434, metal::abs(_e435));
    float _e438 = largest;
    float _e439 = value_0_1_;
    largest = metal::max(_e438, metal::abs(_e439));
    float _e442 = largest;
    float _e443 = value_0_2_;
    largest = metal::max(_e442, metal::abs(_e443));
    float _e446 = largest;
    float _e447 = value_0_3_;
    largest = metal::max(_e446, metal::abs(_e447));
    float _e450 = largest;
    float _e451 = value_1_0_;
    largest = metal::max(_e450, metal::abs(_e451));
    float _e454 = largest;
    float _e455 = value_1_1_;
    largest = metal::max(_e454, metal::abs(_e455));
    float _e458 = largest;
    float _e459 = value_1_2_;
    largest = metal::max(_e458, metal::abs(_e459));
    float _e462 = largest;
    float _e463 = value_1_3_;
    largest = metal::max(_e462, metal::abs(_e463));
    float _e466 = largest;
    float _e467 = value_2_0_;
    largest = metal::max(_e466, metal::abs(_e467));
    float _e470 = largest;
    float _e471 = value_2_1_;
    largest = metal::max(_e470, metal::abs(_e471));
    float _e474 = largest;
    float _e475 = value_2_2_;
    largest = metal::max(_e474, metal::abs(_e475));
    float _e478 = largest;
    float _e479 = value_2_3_;
    largest = metal::max(_e478, metal::abs(_e479));
    float _e482 = largest;
    float _e483 = value_3_0_;
    largest = metal::max(_e482, metal::abs(_e483));
    float _e486 = largest;
    float _e487 = value_3_1_;
    largest = metal::max(_e486, metal::abs(_e487));
    float _e490 = largest;
    float _e491 = value_3_2_;
    largest = metal::max(_e490, metal::abs(_e491));
    float _e494 = largest;
    float _e495 = value_3_3_;
    largest = metal::max(_e494, metal::abs(_e495));
    float _e498 = largest;
    float unnamed = metal::simd_max(_e498);
    largest = unnamed;
    if (lane == 0u) {
        float _e504 = largest;
        maxima.inner[subgroup] = _e504;
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
            uint _e516 = i_1;
            i_1 = _e516 + 32u;
        }
        loop_init_1 = false;
        uint _e507 = i_1;
        if (_e507 < 8u) {
        } else {
            break;
        }
        {
            float _e510 = largest;
            uint _e512 = i_1;
            float _e514 = maxima.inner[_e512];
            largest = metal::max(_e510, _e514);
        }
    }
    float _e519 = largest;
    float unnamed_1 = metal::simd_max(_e519);
    largest = unnamed_1;
    float _e521 = largest;
    uint exponent = metal::max((as_type<uint>(_e521) >> 23u) & 255u, 14u);
    float factor = as_type<float>((267u - exponent) << 23u);
    float row_factor = as_type<float>((exponent - 13u) << 23u);
    float _e543 = value_0_0_;
    row_halves.inner[thread_ + 0u] = static_cast<half>(_e543 * factor);
    float _e550 = value_0_1_;
    row_halves.inner[thread_ + 1024u] = static_cast<half>(_e550 * factor);
    float _e557 = value_0_2_;
    row_halves.inner[thread_ + 2048u] = static_cast<half>(_e557 * factor);
    float _e564 = value_0_3_;
    row_halves.inner[thread_ + 3072u] = static_cast<half>(_e564 * factor);
    float _e571 = value_1_0_;
    row_halves.inner[thread_ + 256u] = static_cast<half>(_e571 * factor);
    float _e578 = value_1_1_;
    row_halves.inner[thread_ + 1280u] = static_cast<half>(_e578 * factor);
    float _e585 = value_1_2_;
    row_halves.inner[thread_ + 2304u] = static_cast<half>(_e585 * factor);
    float _e592 = value_1_3_;
    row_halves.inner[thread_ + 3328u] = static_cast<half>(_e592 * factor);
    float _e599 = value_2_0_;
    row_halves.inner[thread_ + 512u] = static_cast<half>(_e599 * factor);
    float _e606 = value_2_1_;
    row_halves.inner[thread_ + 1536u] = static_cast<half>(_e606 * factor);
    float _e613 = value_2_2_;
    row_halves.inner[thread_ + 2560u] = static_cast<half>(_e613 * factor);
    float _e620 = value_2_3_;
    row_halves.inner[thread_ + 3584u] = static_cast<half>(_e620 * factor);
    float _e627 = value_3_0_;
    row_halves.inner[thread_ + 768u] = static_cast<half>(_e627 * factor);
    float _e634 = value_3_1_;
    row_halves.inner[thread_ + 1792u] = static_cast<half>(_e634 * factor);
    float _e641 = value_3_2_;
    row_halves.inner[thread_ + 2816u] = static_cast<half>(_e641 * factor);
    float _e648 = value_3_3_;
    row_halves.inner[thread_ + 3840u] = static_cast<half>(_e648 * factor);
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint2 loop_bound_2 = uint2(4294967295u);
    bool loop_init_2 = true;
    while(true) {
        if (metal::all(loop_bound_2 == uint2(0u))) { break; }
        loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
        if (!loop_init_2) {
            uint _e2618 = i_2;
            i_2 = _e2618 + 8u;
        }
        loop_init_2 = false;
        uint _e653 = i_2;
        uint _e656 = params.part_blocks;
        if (_e653 < _e656) {
        } else {
            break;
        }
        {
            {
                uint _e658 = i_2;
                uint block_5 = (first + _e658) + 0u;
                uint x_at = metal::min(block_5, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_ = NagaCooperativeLoad(&row_halves.inner[x_at + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_ = NagaCooperativeLoad(&row_halves.inner[x_at + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_ = NagaCooperativeLoad(&row_halves.inner[x_at + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_ = NagaCooperativeLoad(&row_halves.inner[x_at + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_3 = here + ((lane + 0u) * 40u);
                    bool is_there = block_5 < end;
                    RawScale _e697 = raw_0_0_0_;
                    float _e701 = params.global_scale;
                    metal::float2 _e702 = half_scale(_e697, block_5, 0u, _e701);
                    Block _e707 = codes_0_0_;
                    metal::half4 _e708 = half_0_(_e707, _e702);
                    stage(at_3 + 0u, is_there ? _e708 : metal::half4(0.0h), staged);
                    Block _e714 = codes_0_0_;
                    metal::half4 _e715 = half_1_(_e714, _e702);
                    stage(at_3 + 4u, is_there ? _e715 : metal::half4(0.0h), staged);
                    Block _e721 = codes_0_0_;
                    metal::half4 _e722 = half_2_(_e721, _e702);
                    stage(at_3 + 8u, is_there ? _e722 : metal::half4(0.0h), staged);
                    Block _e728 = codes_0_0_;
                    metal::half4 _e729 = half_3_(_e728, _e702);
                    stage(at_3 + 12u, is_there ? _e729 : metal::half4(0.0h), staged);
                    Block _e735 = codes_0_0_;
                    metal::half4 _e736 = half_4_(_e735, _e702);
                    stage(at_3 + 16u, is_there ? _e736 : metal::half4(0.0h), staged);
                    Block _e742 = codes_0_0_;
                    metal::half4 _e743 = half_5_(_e742, _e702);
                    stage(at_3 + 20u, is_there ? _e743 : metal::half4(0.0h), staged);
                    Block _e749 = codes_0_0_;
                    metal::half4 _e750 = half_6_(_e749, _e702);
                    stage(at_3 + 24u, is_there ? _e750 : metal::half4(0.0h), staged);
                    Block _e756 = codes_0_0_;
                    metal::half4 _e757 = half_7_(_e756, _e702);
                    stage(at_3 + 28u, is_there ? _e757 : metal::half4(0.0h), staged);
                }
                if ((block_5 + 8u) < end) {
                    Block _e768 = load_block(((tile_3 * blocks_2) + block_5) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_0_0_ = _e768;
                    RawScale _e774 = raw_scale(tile_3, block_5 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_0_0_0_ = _e774;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_ = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e781 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_, b_0_, _e781);
                    metal::simdgroup_half8x8 b_1_ = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e789 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_, b_1_, _e789);
                    metal::simdgroup_half8x8 b_2_ = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e797 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_, b_2_, _e797);
                    metal::simdgroup_half8x8 b_3_ = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e805 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_, b_3_, _e805);
                }
                {
                    metal::simdgroup_half8x8 b_0_1 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e813 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_, b_0_1, _e813);
                    metal::simdgroup_half8x8 b_1_1 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e821 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_, b_1_1, _e821);
                    metal::simdgroup_half8x8 b_2_1 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e829 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_, b_2_1, _e829);
                    metal::simdgroup_half8x8 b_3_1 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e837 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_, b_3_1, _e837);
                }
                {
                    metal::simdgroup_half8x8 b_0_2 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e845 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_, b_0_2, _e845);
                    metal::simdgroup_half8x8 b_1_2 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e853 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_, b_1_2, _e853);
                    metal::simdgroup_half8x8 b_2_2 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e861 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_, b_2_2, _e861);
                    metal::simdgroup_half8x8 b_3_2 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e869 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_, b_3_2, _e869);
                }
                {
                    metal::simdgroup_half8x8 b_0_3 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e877 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_, b_0_3, _e877);
                    metal::simdgroup_half8x8 b_1_3 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e885 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_, b_1_3, _e885);
                    metal::simdgroup_half8x8 b_2_3 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e893 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_, b_2_3, _e893);
                    metal::simdgroup_half8x8 b_3_3 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e901 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_, b_3_3, _e901);
                }
            }
            {
                uint _e903 = i_2;
                uint block_6 = (first + _e903) + 1u;
                uint x_at_1 = metal::min(block_6, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_1 = NagaCooperativeLoad(&row_halves.inner[x_at_1 + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_1 = NagaCooperativeLoad(&row_halves.inner[x_at_1 + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_1 = NagaCooperativeLoad(&row_halves.inner[x_at_1 + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_1 = NagaCooperativeLoad(&row_halves.inner[x_at_1 + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_4 = here + ((lane + 0u) * 40u);
                    bool is_there_1 = block_6 < end;
                    RawScale _e942 = raw_1_0_0_;
                    float _e946 = params.global_scale;
                    metal::float2 _e947 = half_scale(_e942, block_6, 0u, _e946);
                    Block _e952 = codes_1_0_;
                    metal::half4 _e953 = half_0_(_e952, _e947);
                    stage(at_4 + 0u, is_there_1 ? _e953 : metal::half4(0.0h), staged);
                    Block _e959 = codes_1_0_;
                    metal::half4 _e960 = half_1_(_e959, _e947);
                    stage(at_4 + 4u, is_there_1 ? _e960 : metal::half4(0.0h), staged);
                    Block _e966 = codes_1_0_;
                    metal::half4 _e967 = half_2_(_e966, _e947);
                    stage(at_4 + 8u, is_there_1 ? _e967 : metal::half4(0.0h), staged);
                    Block _e973 = codes_1_0_;
                    metal::half4 _e974 = half_3_(_e973, _e947);
                    stage(at_4 + 12u, is_there_1 ? _e974 : metal::half4(0.0h), staged);
                    Block _e980 = codes_1_0_;
                    metal::half4 _e981 = half_4_(_e980, _e947);
                    stage(at_4 + 16u, is_there_1 ? _e981 : metal::half4(0.0h), staged);
                    Block _e987 = codes_1_0_;
                    metal::half4 _e988 = half_5_(_e987, _e947);
                    stage(at_4 + 20u, is_there_1 ? _e988 : metal::half4(0.0h), staged);
                    Block _e994 = codes_1_0_;
                    metal::half4 _e995 = half_6_(_e994, _e947);
                    stage(at_4 + 24u, is_there_1 ? _e995 : metal::half4(0.0h), staged);
                    Block _e1001 = codes_1_0_;
                    metal::half4 _e1002 = half_7_(_e1001, _e947);
                    stage(at_4 + 28u, is_there_1 ? _e1002 : metal::half4(0.0h), staged);
                }
                if ((block_6 + 8u) < end) {
                    Block _e1013 = load_block(((tile_3 * blocks_2) + block_6) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_1_0_ = _e1013;
                    RawScale _e1019 = raw_scale(tile_3, block_6 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_1_0_0_ = _e1019;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_4 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e1026 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_1, b_0_4, _e1026);
                    metal::simdgroup_half8x8 b_1_4 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e1034 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_1, b_1_4, _e1034);
                    metal::simdgroup_half8x8 b_2_4 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e1042 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_1, b_2_4, _e1042);
                    metal::simdgroup_half8x8 b_3_4 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e1050 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_1, b_3_4, _e1050);
                }
                {
                    metal::simdgroup_half8x8 b_0_5 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e1058 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_1, b_0_5, _e1058);
                    metal::simdgroup_half8x8 b_1_5 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e1066 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_1, b_1_5, _e1066);
                    metal::simdgroup_half8x8 b_2_5 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e1074 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_1, b_2_5, _e1074);
                    metal::simdgroup_half8x8 b_3_5 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e1082 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_1, b_3_5, _e1082);
                }
                {
                    metal::simdgroup_half8x8 b_0_6 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e1090 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_1, b_0_6, _e1090);
                    metal::simdgroup_half8x8 b_1_6 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e1098 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_1, b_1_6, _e1098);
                    metal::simdgroup_half8x8 b_2_6 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e1106 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_1, b_2_6, _e1106);
                    metal::simdgroup_half8x8 b_3_6 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e1114 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_1, b_3_6, _e1114);
                }
                {
                    metal::simdgroup_half8x8 b_0_7 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e1122 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_1, b_0_7, _e1122);
                    metal::simdgroup_half8x8 b_1_7 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e1130 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_1, b_1_7, _e1130);
                    metal::simdgroup_half8x8 b_2_7 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e1138 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_1, b_2_7, _e1138);
                    metal::simdgroup_half8x8 b_3_7 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e1146 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_1, b_3_7, _e1146);
                }
            }
            {
                uint _e1148 = i_2;
                uint block_7 = (first + _e1148) + 2u;
                uint x_at_2 = metal::min(block_7, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_2 = NagaCooperativeLoad(&row_halves.inner[x_at_2 + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_2 = NagaCooperativeLoad(&row_halves.inner[x_at_2 + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_2 = NagaCooperativeLoad(&row_halves.inner[x_at_2 + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_2 = NagaCooperativeLoad(&row_halves.inner[x_at_2 + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_5 = here + ((lane + 0u) * 40u);
                    bool is_there_2 = block_7 < end;
                    RawScale _e1187 = raw_2_0_0_;
                    float _e1191 = params.global_scale;
                    metal::float2 _e1192 = half_scale(_e1187, block_7, 0u, _e1191);
                    Block _e1197 = codes_2_0_;
                    metal::half4 _e1198 = half_0_(_e1197, _e1192);
                    stage(at_5 + 0u, is_there_2 ? _e1198 : metal::half4(0.0h), staged);
                    Block _e1204 = codes_2_0_;
                    metal::half4 _e1205 = half_1_(_e1204, _e1192);
                    stage(at_5 + 4u, is_there_2 ? _e1205 : metal::half4(0.0h), staged);
                    Block _e1211 = codes_2_0_;
                    metal::half4 _e1212 = half_2_(_e1211, _e1192);
                    stage(at_5 + 8u, is_there_2 ? _e1212 : metal::half4(0.0h), staged);
                    Block _e1218 = codes_2_0_;
                    metal::half4 _e1219 = half_3_(_e1218, _e1192);
                    stage(at_5 + 12u, is_there_2 ? _e1219 : metal::half4(0.0h), staged);
                    Block _e1225 = codes_2_0_;
                    metal::half4 _e1226 = half_4_(_e1225, _e1192);
                    stage(at_5 + 16u, is_there_2 ? _e1226 : metal::half4(0.0h), staged);
                    Block _e1232 = codes_2_0_;
                    metal::half4 _e1233 = half_5_(_e1232, _e1192);
                    stage(at_5 + 20u, is_there_2 ? _e1233 : metal::half4(0.0h), staged);
                    Block _e1239 = codes_2_0_;
                    metal::half4 _e1240 = half_6_(_e1239, _e1192);
                    stage(at_5 + 24u, is_there_2 ? _e1240 : metal::half4(0.0h), staged);
                    Block _e1246 = codes_2_0_;
                    metal::half4 _e1247 = half_7_(_e1246, _e1192);
                    stage(at_5 + 28u, is_there_2 ? _e1247 : metal::half4(0.0h), staged);
                }
                if ((block_7 + 8u) < end) {
                    Block _e1258 = load_block(((tile_3 * blocks_2) + block_7) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_2_0_ = _e1258;
                    RawScale _e1264 = raw_scale(tile_3, block_7 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_2_0_0_ = _e1264;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_8 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e1271 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_2, b_0_8, _e1271);
                    metal::simdgroup_half8x8 b_1_8 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e1279 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_2, b_1_8, _e1279);
                    metal::simdgroup_half8x8 b_2_8 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e1287 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_2, b_2_8, _e1287);
                    metal::simdgroup_half8x8 b_3_8 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e1295 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_2, b_3_8, _e1295);
                }
                {
                    metal::simdgroup_half8x8 b_0_9 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e1303 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_2, b_0_9, _e1303);
                    metal::simdgroup_half8x8 b_1_9 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e1311 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_2, b_1_9, _e1311);
                    metal::simdgroup_half8x8 b_2_9 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e1319 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_2, b_2_9, _e1319);
                    metal::simdgroup_half8x8 b_3_9 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e1327 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_2, b_3_9, _e1327);
                }
                {
                    metal::simdgroup_half8x8 b_0_10 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e1335 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_2, b_0_10, _e1335);
                    metal::simdgroup_half8x8 b_1_10 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e1343 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_2, b_1_10, _e1343);
                    metal::simdgroup_half8x8 b_2_10 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e1351 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_2, b_2_10, _e1351);
                    metal::simdgroup_half8x8 b_3_10 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e1359 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_2, b_3_10, _e1359);
                }
                {
                    metal::simdgroup_half8x8 b_0_11 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e1367 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_2, b_0_11, _e1367);
                    metal::simdgroup_half8x8 b_1_11 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e1375 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_2, b_1_11, _e1375);
                    metal::simdgroup_half8x8 b_2_11 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e1383 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_2, b_2_11, _e1383);
                    metal::simdgroup_half8x8 b_3_11 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e1391 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_2, b_3_11, _e1391);
                }
            }
            {
                uint _e1393 = i_2;
                uint block_8 = (first + _e1393) + 3u;
                uint x_at_3 = metal::min(block_8, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_3 = NagaCooperativeLoad(&row_halves.inner[x_at_3 + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_3 = NagaCooperativeLoad(&row_halves.inner[x_at_3 + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_3 = NagaCooperativeLoad(&row_halves.inner[x_at_3 + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_3 = NagaCooperativeLoad(&row_halves.inner[x_at_3 + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_6 = here + ((lane + 0u) * 40u);
                    bool is_there_3 = block_8 < end;
                    RawScale _e1432 = raw_3_0_0_;
                    float _e1436 = params.global_scale;
                    metal::float2 _e1437 = half_scale(_e1432, block_8, 0u, _e1436);
                    Block _e1442 = codes_3_0_;
                    metal::half4 _e1443 = half_0_(_e1442, _e1437);
                    stage(at_6 + 0u, is_there_3 ? _e1443 : metal::half4(0.0h), staged);
                    Block _e1449 = codes_3_0_;
                    metal::half4 _e1450 = half_1_(_e1449, _e1437);
                    stage(at_6 + 4u, is_there_3 ? _e1450 : metal::half4(0.0h), staged);
                    Block _e1456 = codes_3_0_;
                    metal::half4 _e1457 = half_2_(_e1456, _e1437);
                    stage(at_6 + 8u, is_there_3 ? _e1457 : metal::half4(0.0h), staged);
                    Block _e1463 = codes_3_0_;
                    metal::half4 _e1464 = half_3_(_e1463, _e1437);
                    stage(at_6 + 12u, is_there_3 ? _e1464 : metal::half4(0.0h), staged);
                    Block _e1470 = codes_3_0_;
                    metal::half4 _e1471 = half_4_(_e1470, _e1437);
                    stage(at_6 + 16u, is_there_3 ? _e1471 : metal::half4(0.0h), staged);
                    Block _e1477 = codes_3_0_;
                    metal::half4 _e1478 = half_5_(_e1477, _e1437);
                    stage(at_6 + 20u, is_there_3 ? _e1478 : metal::half4(0.0h), staged);
                    Block _e1484 = codes_3_0_;
                    metal::half4 _e1485 = half_6_(_e1484, _e1437);
                    stage(at_6 + 24u, is_there_3 ? _e1485 : metal::half4(0.0h), staged);
                    Block _e1491 = codes_3_0_;
                    metal::half4 _e1492 = half_7_(_e1491, _e1437);
                    stage(at_6 + 28u, is_there_3 ? _e1492 : metal::half4(0.0h), staged);
                }
                if ((block_8 + 8u) < end) {
                    Block _e1503 = load_block(((tile_3 * blocks_2) + block_8) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_3_0_ = _e1503;
                    RawScale _e1509 = raw_scale(tile_3, block_8 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_3_0_0_ = _e1509;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_12 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e1516 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_3, b_0_12, _e1516);
                    metal::simdgroup_half8x8 b_1_12 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e1524 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_3, b_1_12, _e1524);
                    metal::simdgroup_half8x8 b_2_12 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e1532 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_3, b_2_12, _e1532);
                    metal::simdgroup_half8x8 b_3_12 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e1540 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_3, b_3_12, _e1540);
                }
                {
                    metal::simdgroup_half8x8 b_0_13 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e1548 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_3, b_0_13, _e1548);
                    metal::simdgroup_half8x8 b_1_13 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e1556 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_3, b_1_13, _e1556);
                    metal::simdgroup_half8x8 b_2_13 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e1564 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_3, b_2_13, _e1564);
                    metal::simdgroup_half8x8 b_3_13 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e1572 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_3, b_3_13, _e1572);
                }
                {
                    metal::simdgroup_half8x8 b_0_14 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e1580 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_3, b_0_14, _e1580);
                    metal::simdgroup_half8x8 b_1_14 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e1588 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_3, b_1_14, _e1588);
                    metal::simdgroup_half8x8 b_2_14 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e1596 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_3, b_2_14, _e1596);
                    metal::simdgroup_half8x8 b_3_14 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e1604 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_3, b_3_14, _e1604);
                }
                {
                    metal::simdgroup_half8x8 b_0_15 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e1612 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_3, b_0_15, _e1612);
                    metal::simdgroup_half8x8 b_1_15 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e1620 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_3, b_1_15, _e1620);
                    metal::simdgroup_half8x8 b_2_15 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e1628 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_3, b_2_15, _e1628);
                    metal::simdgroup_half8x8 b_3_15 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e1636 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_3, b_3_15, _e1636);
                }
            }
            {
                uint _e1638 = i_2;
                uint block_9 = (first + _e1638) + 4u;
                uint x_at_4 = metal::min(block_9, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_4 = NagaCooperativeLoad(&row_halves.inner[x_at_4 + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_4 = NagaCooperativeLoad(&row_halves.inner[x_at_4 + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_4 = NagaCooperativeLoad(&row_halves.inner[x_at_4 + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_4 = NagaCooperativeLoad(&row_halves.inner[x_at_4 + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_7 = here + ((lane + 0u) * 40u);
                    bool is_there_4 = block_9 < end;
                    RawScale _e1677 = raw_4_0_0_;
                    float _e1681 = params.global_scale;
                    metal::float2 _e1682 = half_scale(_e1677, block_9, 0u, _e1681);
                    Block _e1687 = codes_4_0_;
                    metal::half4 _e1688 = half_0_(_e1687, _e1682);
                    stage(at_7 + 0u, is_there_4 ? _e1688 : metal::half4(0.0h), staged);
                    Block _e1694 = codes_4_0_;
                    metal::half4 _e1695 = half_1_(_e1694, _e1682);
                    stage(at_7 + 4u, is_there_4 ? _e1695 : metal::half4(0.0h), staged);
                    Block _e1701 = codes_4_0_;
                    metal::half4 _e1702 = half_2_(_e1701, _e1682);
                    stage(at_7 + 8u, is_there_4 ? _e1702 : metal::half4(0.0h), staged);
                    Block _e1708 = codes_4_0_;
                    metal::half4 _e1709 = half_3_(_e1708, _e1682);
                    stage(at_7 + 12u, is_there_4 ? _e1709 : metal::half4(0.0h), staged);
                    Block _e1715 = codes_4_0_;
                    metal::half4 _e1716 = half_4_(_e1715, _e1682);
                    stage(at_7 + 16u, is_there_4 ? _e1716 : metal::half4(0.0h), staged);
                    Block _e1722 = codes_4_0_;
                    metal::half4 _e1723 = half_5_(_e1722, _e1682);
                    stage(at_7 + 20u, is_there_4 ? _e1723 : metal::half4(0.0h), staged);
                    Block _e1729 = codes_4_0_;
                    metal::half4 _e1730 = half_6_(_e1729, _e1682);
                    stage(at_7 + 24u, is_there_4 ? _e1730 : metal::half4(0.0h), staged);
                    Block _e1736 = codes_4_0_;
                    metal::half4 _e1737 = half_7_(_e1736, _e1682);
                    stage(at_7 + 28u, is_there_4 ? _e1737 : metal::half4(0.0h), staged);
                }
                if ((block_9 + 8u) < end) {
                    Block _e1748 = load_block(((tile_3 * blocks_2) + block_9) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_4_0_ = _e1748;
                    RawScale _e1754 = raw_scale(tile_3, block_9 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_4_0_0_ = _e1754;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_16 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e1761 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_4, b_0_16, _e1761);
                    metal::simdgroup_half8x8 b_1_16 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e1769 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_4, b_1_16, _e1769);
                    metal::simdgroup_half8x8 b_2_16 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e1777 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_4, b_2_16, _e1777);
                    metal::simdgroup_half8x8 b_3_16 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e1785 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_4, b_3_16, _e1785);
                }
                {
                    metal::simdgroup_half8x8 b_0_17 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e1793 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_4, b_0_17, _e1793);
                    metal::simdgroup_half8x8 b_1_17 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e1801 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_4, b_1_17, _e1801);
                    metal::simdgroup_half8x8 b_2_17 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e1809 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_4, b_2_17, _e1809);
                    metal::simdgroup_half8x8 b_3_17 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e1817 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_4, b_3_17, _e1817);
                }
                {
                    metal::simdgroup_half8x8 b_0_18 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e1825 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_4, b_0_18, _e1825);
                    metal::simdgroup_half8x8 b_1_18 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e1833 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_4, b_1_18, _e1833);
                    metal::simdgroup_half8x8 b_2_18 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e1841 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_4, b_2_18, _e1841);
                    metal::simdgroup_half8x8 b_3_18 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e1849 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_4, b_3_18, _e1849);
                }
                {
                    metal::simdgroup_half8x8 b_0_19 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e1857 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_4, b_0_19, _e1857);
                    metal::simdgroup_half8x8 b_1_19 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e1865 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_4, b_1_19, _e1865);
                    metal::simdgroup_half8x8 b_2_19 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e1873 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_4, b_2_19, _e1873);
                    metal::simdgroup_half8x8 b_3_19 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e1881 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_4, b_3_19, _e1881);
                }
            }
            {
                uint _e1883 = i_2;
                uint block_10 = (first + _e1883) + 5u;
                uint x_at_5 = metal::min(block_10, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_5 = NagaCooperativeLoad(&row_halves.inner[x_at_5 + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_5 = NagaCooperativeLoad(&row_halves.inner[x_at_5 + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_5 = NagaCooperativeLoad(&row_halves.inner[x_at_5 + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_5 = NagaCooperativeLoad(&row_halves.inner[x_at_5 + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_8 = here + ((lane + 0u) * 40u);
                    bool is_there_5 = block_10 < end;
                    RawScale _e1922 = raw_5_0_0_;
                    float _e1926 = params.global_scale;
                    metal::float2 _e1927 = half_scale(_e1922, block_10, 0u, _e1926);
                    Block _e1932 = codes_5_0_;
                    metal::half4 _e1933 = half_0_(_e1932, _e1927);
                    stage(at_8 + 0u, is_there_5 ? _e1933 : metal::half4(0.0h), staged);
                    Block _e1939 = codes_5_0_;
                    metal::half4 _e1940 = half_1_(_e1939, _e1927);
                    stage(at_8 + 4u, is_there_5 ? _e1940 : metal::half4(0.0h), staged);
                    Block _e1946 = codes_5_0_;
                    metal::half4 _e1947 = half_2_(_e1946, _e1927);
                    stage(at_8 + 8u, is_there_5 ? _e1947 : metal::half4(0.0h), staged);
                    Block _e1953 = codes_5_0_;
                    metal::half4 _e1954 = half_3_(_e1953, _e1927);
                    stage(at_8 + 12u, is_there_5 ? _e1954 : metal::half4(0.0h), staged);
                    Block _e1960 = codes_5_0_;
                    metal::half4 _e1961 = half_4_(_e1960, _e1927);
                    stage(at_8 + 16u, is_there_5 ? _e1961 : metal::half4(0.0h), staged);
                    Block _e1967 = codes_5_0_;
                    metal::half4 _e1968 = half_5_(_e1967, _e1927);
                    stage(at_8 + 20u, is_there_5 ? _e1968 : metal::half4(0.0h), staged);
                    Block _e1974 = codes_5_0_;
                    metal::half4 _e1975 = half_6_(_e1974, _e1927);
                    stage(at_8 + 24u, is_there_5 ? _e1975 : metal::half4(0.0h), staged);
                    Block _e1981 = codes_5_0_;
                    metal::half4 _e1982 = half_7_(_e1981, _e1927);
                    stage(at_8 + 28u, is_there_5 ? _e1982 : metal::half4(0.0h), staged);
                }
                if ((block_10 + 8u) < end) {
                    Block _e1993 = load_block(((tile_3 * blocks_2) + block_10) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_5_0_ = _e1993;
                    RawScale _e1999 = raw_scale(tile_3, block_10 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_5_0_0_ = _e1999;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_20 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e2006 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_5, b_0_20, _e2006);
                    metal::simdgroup_half8x8 b_1_20 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e2014 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_5, b_1_20, _e2014);
                    metal::simdgroup_half8x8 b_2_20 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e2022 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_5, b_2_20, _e2022);
                    metal::simdgroup_half8x8 b_3_20 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e2030 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_5, b_3_20, _e2030);
                }
                {
                    metal::simdgroup_half8x8 b_0_21 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e2038 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_5, b_0_21, _e2038);
                    metal::simdgroup_half8x8 b_1_21 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e2046 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_5, b_1_21, _e2046);
                    metal::simdgroup_half8x8 b_2_21 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e2054 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_5, b_2_21, _e2054);
                    metal::simdgroup_half8x8 b_3_21 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e2062 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_5, b_3_21, _e2062);
                }
                {
                    metal::simdgroup_half8x8 b_0_22 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e2070 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_5, b_0_22, _e2070);
                    metal::simdgroup_half8x8 b_1_22 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e2078 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_5, b_1_22, _e2078);
                    metal::simdgroup_half8x8 b_2_22 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e2086 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_5, b_2_22, _e2086);
                    metal::simdgroup_half8x8 b_3_22 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e2094 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_5, b_3_22, _e2094);
                }
                {
                    metal::simdgroup_half8x8 b_0_23 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e2102 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_5, b_0_23, _e2102);
                    metal::simdgroup_half8x8 b_1_23 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e2110 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_5, b_1_23, _e2110);
                    metal::simdgroup_half8x8 b_2_23 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e2118 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_5, b_2_23, _e2118);
                    metal::simdgroup_half8x8 b_3_23 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e2126 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_5, b_3_23, _e2126);
                }
            }
            {
                uint _e2128 = i_2;
                uint block_11 = (first + _e2128) + 6u;
                uint x_at_6 = metal::min(block_11, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_6 = NagaCooperativeLoad(&row_halves.inner[x_at_6 + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_6 = NagaCooperativeLoad(&row_halves.inner[x_at_6 + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_6 = NagaCooperativeLoad(&row_halves.inner[x_at_6 + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_6 = NagaCooperativeLoad(&row_halves.inner[x_at_6 + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_9 = here + ((lane + 0u) * 40u);
                    bool is_there_6 = block_11 < end;
                    RawScale _e2167 = raw_6_0_0_;
                    float _e2171 = params.global_scale;
                    metal::float2 _e2172 = half_scale(_e2167, block_11, 0u, _e2171);
                    Block _e2177 = codes_6_0_;
                    metal::half4 _e2178 = half_0_(_e2177, _e2172);
                    stage(at_9 + 0u, is_there_6 ? _e2178 : metal::half4(0.0h), staged);
                    Block _e2184 = codes_6_0_;
                    metal::half4 _e2185 = half_1_(_e2184, _e2172);
                    stage(at_9 + 4u, is_there_6 ? _e2185 : metal::half4(0.0h), staged);
                    Block _e2191 = codes_6_0_;
                    metal::half4 _e2192 = half_2_(_e2191, _e2172);
                    stage(at_9 + 8u, is_there_6 ? _e2192 : metal::half4(0.0h), staged);
                    Block _e2198 = codes_6_0_;
                    metal::half4 _e2199 = half_3_(_e2198, _e2172);
                    stage(at_9 + 12u, is_there_6 ? _e2199 : metal::half4(0.0h), staged);
                    Block _e2205 = codes_6_0_;
                    metal::half4 _e2206 = half_4_(_e2205, _e2172);
                    stage(at_9 + 16u, is_there_6 ? _e2206 : metal::half4(0.0h), staged);
                    Block _e2212 = codes_6_0_;
                    metal::half4 _e2213 = half_5_(_e2212, _e2172);
                    stage(at_9 + 20u, is_there_6 ? _e2213 : metal::half4(0.0h), staged);
                    Block _e2219 = codes_6_0_;
                    metal::half4 _e2220 = half_6_(_e2219, _e2172);
                    stage(at_9 + 24u, is_there_6 ? _e2220 : metal::half4(0.0h), staged);
                    Block _e2226 = codes_6_0_;
                    metal::half4 _e2227 = half_7_(_e2226, _e2172);
                    stage(at_9 + 28u, is_there_6 ? _e2227 : metal::half4(0.0h), staged);
                }
                if ((block_11 + 8u) < end) {
                    Block _e2238 = load_block(((tile_3 * blocks_2) + block_11) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_6_0_ = _e2238;
                    RawScale _e2244 = raw_scale(tile_3, block_11 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_6_0_0_ = _e2244;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_24 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e2251 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_6, b_0_24, _e2251);
                    metal::simdgroup_half8x8 b_1_24 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e2259 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_6, b_1_24, _e2259);
                    metal::simdgroup_half8x8 b_2_24 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e2267 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_6, b_2_24, _e2267);
                    metal::simdgroup_half8x8 b_3_24 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e2275 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_6, b_3_24, _e2275);
                }
                {
                    metal::simdgroup_half8x8 b_0_25 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e2283 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_6, b_0_25, _e2283);
                    metal::simdgroup_half8x8 b_1_25 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e2291 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_6, b_1_25, _e2291);
                    metal::simdgroup_half8x8 b_2_25 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e2299 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_6, b_2_25, _e2299);
                    metal::simdgroup_half8x8 b_3_25 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e2307 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_6, b_3_25, _e2307);
                }
                {
                    metal::simdgroup_half8x8 b_0_26 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e2315 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_6, b_0_26, _e2315);
                    metal::simdgroup_half8x8 b_1_26 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e2323 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_6, b_1_26, _e2323);
                    metal::simdgroup_half8x8 b_2_26 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e2331 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_6, b_2_26, _e2331);
                    metal::simdgroup_half8x8 b_3_26 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e2339 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_6, b_3_26, _e2339);
                }
                {
                    metal::simdgroup_half8x8 b_0_27 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e2347 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_6, b_0_27, _e2347);
                    metal::simdgroup_half8x8 b_1_27 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e2355 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_6, b_1_27, _e2355);
                    metal::simdgroup_half8x8 b_2_27 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e2363 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_6, b_2_27, _e2363);
                    metal::simdgroup_half8x8 b_3_27 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e2371 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_6, b_3_27, _e2371);
                }
            }
            {
                uint _e2373 = i_2;
                uint block_12 = (first + _e2373) + 7u;
                uint x_at_7 = metal::min(block_12, blocks_2 - 1u) * 32u;
                metal::simdgroup_half8x8 a_0_7 = NagaCooperativeLoad(&row_halves.inner[x_at_7 + 0u], 0u, false);
                metal::simdgroup_half8x8 a_1_7 = NagaCooperativeLoad(&row_halves.inner[x_at_7 + 8u], 0u, false);
                metal::simdgroup_half8x8 a_2_7 = NagaCooperativeLoad(&row_halves.inner[x_at_7 + 16u], 0u, false);
                metal::simdgroup_half8x8 a_3_7 = NagaCooperativeLoad(&row_halves.inner[x_at_7 + 24u], 0u, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_10 = here + ((lane + 0u) * 40u);
                    bool is_there_7 = block_12 < end;
                    RawScale _e2412 = raw_7_0_0_;
                    float _e2416 = params.global_scale;
                    metal::float2 _e2417 = half_scale(_e2412, block_12, 0u, _e2416);
                    Block _e2422 = codes_7_0_;
                    metal::half4 _e2423 = half_0_(_e2422, _e2417);
                    stage(at_10 + 0u, is_there_7 ? _e2423 : metal::half4(0.0h), staged);
                    Block _e2429 = codes_7_0_;
                    metal::half4 _e2430 = half_1_(_e2429, _e2417);
                    stage(at_10 + 4u, is_there_7 ? _e2430 : metal::half4(0.0h), staged);
                    Block _e2436 = codes_7_0_;
                    metal::half4 _e2437 = half_2_(_e2436, _e2417);
                    stage(at_10 + 8u, is_there_7 ? _e2437 : metal::half4(0.0h), staged);
                    Block _e2443 = codes_7_0_;
                    metal::half4 _e2444 = half_3_(_e2443, _e2417);
                    stage(at_10 + 12u, is_there_7 ? _e2444 : metal::half4(0.0h), staged);
                    Block _e2450 = codes_7_0_;
                    metal::half4 _e2451 = half_4_(_e2450, _e2417);
                    stage(at_10 + 16u, is_there_7 ? _e2451 : metal::half4(0.0h), staged);
                    Block _e2457 = codes_7_0_;
                    metal::half4 _e2458 = half_5_(_e2457, _e2417);
                    stage(at_10 + 20u, is_there_7 ? _e2458 : metal::half4(0.0h), staged);
                    Block _e2464 = codes_7_0_;
                    metal::half4 _e2465 = half_6_(_e2464, _e2417);
                    stage(at_10 + 24u, is_there_7 ? _e2465 : metal::half4(0.0h), staged);
                    Block _e2471 = codes_7_0_;
                    metal::half4 _e2472 = half_7_(_e2471, _e2417);
                    stage(at_10 + 28u, is_there_7 ? _e2472 : metal::half4(0.0h), staged);
                }
                if ((block_12 + 8u) < end) {
                    Block _e2483 = load_block(((tile_3 * blocks_2) + block_12) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_7_0_ = _e2483;
                    RawScale _e2489 = raw_scale(tile_3, block_12 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_7_0_0_ = _e2489;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_28 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e2496 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_7, b_0_28, _e2496);
                    metal::simdgroup_half8x8 b_1_28 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e2504 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_7, b_1_28, _e2504);
                    metal::simdgroup_half8x8 b_2_28 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e2512 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_7, b_2_28, _e2512);
                    metal::simdgroup_half8x8 b_3_28 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e2520 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_7, b_3_28, _e2520);
                }
                {
                    metal::simdgroup_half8x8 b_0_29 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e2528 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_7, b_0_29, _e2528);
                    metal::simdgroup_half8x8 b_1_29 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e2536 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_7, b_1_29, _e2536);
                    metal::simdgroup_half8x8 b_2_29 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e2544 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_7, b_2_29, _e2544);
                    metal::simdgroup_half8x8 b_3_29 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e2552 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_7, b_3_29, _e2552);
                }
                {
                    metal::simdgroup_half8x8 b_0_30 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e2560 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_7, b_0_30, _e2560);
                    metal::simdgroup_half8x8 b_1_30 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e2568 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_7, b_1_30, _e2568);
                    metal::simdgroup_half8x8 b_2_30 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e2576 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_7, b_2_30, _e2576);
                    metal::simdgroup_half8x8 b_3_30 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e2584 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_7, b_3_30, _e2584);
                }
                {
                    metal::simdgroup_half8x8 b_0_31 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e2592 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_7, b_0_31, _e2592);
                    metal::simdgroup_half8x8 b_1_31 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e2600 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_7, b_1_31, _e2600);
                    metal::simdgroup_half8x8 b_2_31 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e2608 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_7, b_2_31, _e2608);
                    metal::simdgroup_half8x8 b_3_31 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e2616 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_7, b_3_31, _e2616);
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
        uint _e2626 = round;
        if (_e2626 == 0u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e2629 = sum_0_0_;
            simdgroup_store(_e2629, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e2643 = sum_0_1_;
            simdgroup_store(_e2643, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e2657 = sum_0_2_;
            simdgroup_store(_e2657, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e2671 = sum_0_3_;
            simdgroup_store(_e2671, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e2686 = total_0_;
    float _e2691 = sums.inner[0u + thread_];
    total_0_ = _e2686 + _e2691;
    float _e2693 = total_0_;
    float _e2698 = sums.inner[256u + thread_];
    total_0_ = _e2693 + _e2698;
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
        uint _e2703 = round_1;
        if (_e2703 == 1u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e2706 = sum_0_0_;
            simdgroup_store(_e2706, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e2720 = sum_0_1_;
            simdgroup_store(_e2720, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e2734 = sum_0_2_;
            simdgroup_store(_e2734, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e2748 = sum_0_3_;
            simdgroup_store(_e2748, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e2763 = total_0_;
    float _e2768 = sums.inner[0u + thread_];
    total_0_ = _e2763 + _e2768;
    float _e2770 = total_0_;
    float _e2775 = sums.inner[256u + thread_];
    total_0_ = _e2770 + _e2775;
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
        uint _e2780 = round_2;
        if (_e2780 == 2u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e2783 = sum_0_0_;
            simdgroup_store(_e2783, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e2797 = sum_0_1_;
            simdgroup_store(_e2797, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e2811 = sum_0_2_;
            simdgroup_store(_e2811, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e2825 = sum_0_3_;
            simdgroup_store(_e2825, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e2840 = total_0_;
    float _e2845 = sums.inner[0u + thread_];
    total_0_ = _e2840 + _e2845;
    float _e2847 = total_0_;
    float _e2852 = sums.inner[256u + thread_];
    total_0_ = _e2847 + _e2852;
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
        uint _e2857 = round_3;
        if (_e2857 == 3u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e2860 = sum_0_0_;
            simdgroup_store(_e2860, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e2874 = sum_0_1_;
            simdgroup_store(_e2874, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e2888 = sum_0_2_;
            simdgroup_store(_e2888, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e2902 = sum_0_3_;
            simdgroup_store(_e2902, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e2917 = total_0_;
    float _e2922 = sums.inner[0u + thread_];
    total_0_ = _e2917 + _e2922;
    float _e2924 = total_0_;
    float _e2929 = sums.inner[256u + thread_];
    total_0_ = _e2924 + _e2929;
    {
        uint row_1 = first_row + naga_div(thread_ + 0u, 32u);
        float _e2943 = total_0_;
        store(row_1, (tile_3 * 32u) + naga_mod(thread_ + 0u, 32u), (_e2943 * row_factor) * 0.015625, out, params, _buffer_sizes);
        return;
    }
}

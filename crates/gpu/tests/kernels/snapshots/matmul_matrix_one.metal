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
    half inner[4128];
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
constant uint DEPTH = 2u;
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
    Block codes_0_0_ = {};
    RawScale raw_0_0_0_ = {};
    Block codes_1_0_ = {};
    RawScale raw_1_0_0_ = {};
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
    metal::simdgroup_float8x8 sum_0_0_ = {};
    metal::simdgroup_float8x8 sum_0_1_ = {};
    metal::simdgroup_float8x8 sum_0_2_ = {};
    metal::simdgroup_float8x8 sum_0_3_ = {};
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
    uint block_0_ = metal::min(first + 0u, blocks_2 - 1u);
    Block _e43 = load_block((tile_3 * blocks_2) + block_0_, lane + 0u, weight_codes, _buffer_sizes);
    codes_0_0_ = _e43;
    RawScale _e48 = raw_scale(tile_3, block_0_, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
    raw_0_0_0_ = _e48;
    uint block_1_ = metal::min(first + 1u, blocks_2 - 1u);
    Block _e59 = load_block((tile_3 * blocks_2) + block_1_, lane + 0u, weight_codes, _buffer_sizes);
    codes_1_0_ = _e59;
    RawScale _e64 = raw_scale(tile_3, block_1_, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
    raw_1_0_0_ = _e64;
    uint _e68 = params.first_row;
    uint _e71 = params.x_stride;
    uint at_2 = _e68 * _e71;
    uint _e79 = params.columns;
    if ((thread_ + 0u) < _e79) {
        uint k = (at_2 + thread_) + 0u;
        float _e86 = x_22[k];
        value_0_0_ = _e86;
    }
    uint _e93 = params.columns;
    if ((thread_ + 1024u) < _e93) {
        uint k_1 = (at_2 + thread_) + 1024u;
        float _e100 = x_22[k_1];
        value_0_1_ = _e100;
    }
    uint _e107 = params.columns;
    if ((thread_ + 2048u) < _e107) {
        uint k_2 = (at_2 + thread_) + 2048u;
        float _e114 = x_22[k_2];
        value_0_2_ = _e114;
    }
    uint _e121 = params.columns;
    if ((thread_ + 3072u) < _e121) {
        uint k_3 = (at_2 + thread_) + 3072u;
        float _e128 = x_22[k_3];
        value_0_3_ = _e128;
    }
    uint _e135 = params.columns;
    if ((thread_ + 256u) < _e135) {
        uint k_4 = (at_2 + thread_) + 256u;
        float _e142 = x_22[k_4];
        value_1_0_ = _e142;
    }
    uint _e149 = params.columns;
    if ((thread_ + 1280u) < _e149) {
        uint k_5 = (at_2 + thread_) + 1280u;
        float _e156 = x_22[k_5];
        value_1_1_ = _e156;
    }
    uint _e163 = params.columns;
    if ((thread_ + 2304u) < _e163) {
        uint k_6 = (at_2 + thread_) + 2304u;
        float _e170 = x_22[k_6];
        value_1_2_ = _e170;
    }
    uint _e177 = params.columns;
    if ((thread_ + 3328u) < _e177) {
        uint k_7 = (at_2 + thread_) + 3328u;
        float _e184 = x_22[k_7];
        value_1_3_ = _e184;
    }
    uint _e191 = params.columns;
    if ((thread_ + 512u) < _e191) {
        uint k_8 = (at_2 + thread_) + 512u;
        float _e198 = x_22[k_8];
        value_2_0_ = _e198;
    }
    uint _e205 = params.columns;
    if ((thread_ + 1536u) < _e205) {
        uint k_9 = (at_2 + thread_) + 1536u;
        float _e212 = x_22[k_9];
        value_2_1_ = _e212;
    }
    uint _e219 = params.columns;
    if ((thread_ + 2560u) < _e219) {
        uint k_10 = (at_2 + thread_) + 2560u;
        float _e226 = x_22[k_10];
        value_2_2_ = _e226;
    }
    uint _e233 = params.columns;
    if ((thread_ + 3584u) < _e233) {
        uint k_11 = (at_2 + thread_) + 3584u;
        float _e240 = x_22[k_11];
        value_2_3_ = _e240;
    }
    uint _e247 = params.columns;
    if ((thread_ + 768u) < _e247) {
        uint k_12 = (at_2 + thread_) + 768u;
        float _e254 = x_22[k_12];
        value_3_0_ = _e254;
    }
    uint _e261 = params.columns;
    if ((thread_ + 1792u) < _e261) {
        uint k_13 = (at_2 + thread_) + 1792u;
        float _e268 = x_22[k_13];
        value_3_1_ = _e268;
    }
    uint _e275 = params.columns;
    if ((thread_ + 2816u) < _e275) {
        uint k_14 = (at_2 + thread_) + 2816u;
        float _e282 = x_22[k_14];
        value_3_2_ = _e282;
    }
    uint _e289 = params.columns;
    if ((thread_ + 3840u) < _e289) {
        uint k_15 = (at_2 + thread_) + 3840u;
        float _e296 = x_22[k_15];
        value_3_3_ = _e296;
    }
    float _e299 = largest;
    float _e300 = value_0_0_;
    largest = metal::max(_e299, metal::abs(_e300));
    float _e303 = largest;
    float _e304 = value_0_1_;
    largest = metal::max(_e303, metal::abs(_e304));
    float _e307 = largest;
    float _e308 = value_0_2_;
    largest = metal::max(_e307, metal::abs(_e308));
    float _e311 = largest;
    float _e312 = value_0_3_;
    largest = metal::max(_e311, metal::abs(_e312));
    float _e315 = largest;
    float _e316 = value_1_0_;
    largest = metal::max(_e315, metal::abs(_e316));
    float _e319 = largest;
    float _e320 = value_1_1_;
    largest = metal::max(_e319, metal::abs(_e320));
    float _e323 = largest;
    float _e324 = value_1_2_;
    largest = metal::max(_e323, metal::abs(_e324));
    float _e327 = largest;
    float _e328 = value_1_3_;
    largest = metal::max(_e327, metal::abs(_e328));
    float _e331 = largest;
    float _e332 = value_2_0_;
    largest = metal::max(_e331, metal::abs(_e332));
    float _e335 = largest;
    float _e336 = value_2_1_;
    largest = metal::max(_e335, metal::abs(_e336));
    float _e339 = largest;
    float _e340 = value_2_2_;
    largest = metal::max(_e339, metal::abs(_e340));
    float _e343 = largest;
    float _e344 = value_2_3_;
    largest = metal::max(_e343, metal::abs(_e344));
    float _e347 = largest;
    float _e348 = value_3_0_;
    largest = metal::max(_e347, metal::abs(_e348));
    float _e351 = largest;
    float _e352 = value_3_1_;
    largest = metal::max(_e351, metal::abs(_e352));
    float _e355 = largest;
    float _e356 = value_3_2_;
    largest = metal::max(_e355, metal::abs(_e356));
    float _e359 = largest;
    float _e360 = value_3_3_;
    largest = metal::max(_e359, metal::abs(_e360));
    float _e363 = largest;
    float unnamed = metal::simd_max(_e363);
    largest = unnamed;
    if (lane == 0u) {
        float _e369 = largest;
        maxima.inner[subgroup] = _e369;
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
            uint _e381 = i_1;
            i_1 = _e381 + 32u;
        }
        loop_init_1 = false;
        uint _e372 = i_1;
        if (_e372 < 8u) {
        } else {
            break;
        }
        {
            float _e375 = largest;
            uint _e377 = i_1;
            float _e379 = maxima.inner[_e377];
            largest = metal::max(_e375, _e379);
        }
    }
    float _e384 = largest;
    float unnamed_1 = metal::simd_max(_e384);
    largest = unnamed_1;
    float _e386 = largest;
    uint exponent = metal::max((as_type<uint>(_e386) >> 23u) & 255u, 14u);
    float factor = as_type<float>((267u - exponent) << 23u);
    float inverse_factor = as_type<float>((exponent - 13u) << 23u);
    float _e408 = value_0_0_;
    row_halves.inner[thread_ + 0u] = static_cast<half>(_e408 * factor);
    float _e415 = value_0_1_;
    row_halves.inner[thread_ + 1024u] = static_cast<half>(_e415 * factor);
    float _e422 = value_0_2_;
    row_halves.inner[thread_ + 2048u] = static_cast<half>(_e422 * factor);
    float _e429 = value_0_3_;
    row_halves.inner[thread_ + 3072u] = static_cast<half>(_e429 * factor);
    float _e436 = value_1_0_;
    row_halves.inner[thread_ + 256u] = static_cast<half>(_e436 * factor);
    float _e443 = value_1_1_;
    row_halves.inner[thread_ + 1280u] = static_cast<half>(_e443 * factor);
    float _e450 = value_1_2_;
    row_halves.inner[thread_ + 2304u] = static_cast<half>(_e450 * factor);
    float _e457 = value_1_3_;
    row_halves.inner[thread_ + 3328u] = static_cast<half>(_e457 * factor);
    float _e464 = value_2_0_;
    row_halves.inner[thread_ + 512u] = static_cast<half>(_e464 * factor);
    float _e471 = value_2_1_;
    row_halves.inner[thread_ + 1536u] = static_cast<half>(_e471 * factor);
    float _e478 = value_2_2_;
    row_halves.inner[thread_ + 2560u] = static_cast<half>(_e478 * factor);
    float _e485 = value_2_3_;
    row_halves.inner[thread_ + 3584u] = static_cast<half>(_e485 * factor);
    float _e492 = value_3_0_;
    row_halves.inner[thread_ + 768u] = static_cast<half>(_e492 * factor);
    float _e499 = value_3_1_;
    row_halves.inner[thread_ + 1792u] = static_cast<half>(_e499 * factor);
    float _e506 = value_3_2_;
    row_halves.inner[thread_ + 2816u] = static_cast<half>(_e506 * factor);
    float _e513 = value_3_3_;
    row_halves.inner[thread_ + 3840u] = static_cast<half>(_e513 * factor);
    if (thread_ < 32u) {
        row_halves.inner[4096u + thread_] = 0.0h;
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    sum_0_0_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
    sum_0_1_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
    sum_0_2_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
    sum_0_3_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
    uint2 loop_bound_2 = uint2(4294967295u);
    bool loop_init_2 = true;
    while(true) {
        if (metal::all(loop_bound_2 == uint2(0u))) { break; }
        loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
        if (!loop_init_2) {
            uint _e776 = i_2;
            i_2 = _e776 + 1u;
        }
        loop_init_2 = false;
        uint _e545 = i_2;
        uint _e548 = params.part_blocks;
        if (_e545 < _e548) {
        } else {
            break;
        }
        {
            uint _e550 = i_2;
            uint block_5 = metal::min(first + _e550, blocks_2 - 1u);
            uint _e558 = i_2;
            uint x_at = ((first + _e558) < end) ? (block_5 * 32u) : 4096u;
            {
                uint at_3 = here + ((lane + 0u) * 40u);
                RawScale _e567 = raw_0_0_0_;
                float _e571 = params.global_scale;
                metal::float2 _e572 = half_scale(_e567, block_5, 0u, _e571);
                Block _e575 = codes_0_0_;
                metal::half4 _e576 = half_0_(_e575, _e572);
                stage(at_3 + 0u, _e576, staged);
                Block _e579 = codes_0_0_;
                metal::half4 _e580 = half_1_(_e579, _e572);
                stage(at_3 + 4u, _e580, staged);
                Block _e583 = codes_0_0_;
                metal::half4 _e584 = half_2_(_e583, _e572);
                stage(at_3 + 8u, _e584, staged);
                Block _e587 = codes_0_0_;
                metal::half4 _e588 = half_3_(_e587, _e572);
                stage(at_3 + 12u, _e588, staged);
                Block _e591 = codes_0_0_;
                metal::half4 _e592 = half_4_(_e591, _e572);
                stage(at_3 + 16u, _e592, staged);
                Block _e595 = codes_0_0_;
                metal::half4 _e596 = half_5_(_e595, _e572);
                stage(at_3 + 20u, _e596, staged);
                Block _e599 = codes_0_0_;
                metal::half4 _e600 = half_6_(_e599, _e572);
                stage(at_3 + 24u, _e600, staged);
                Block _e603 = codes_0_0_;
                metal::half4 _e604 = half_7_(_e603, _e572);
                stage(at_3 + 28u, _e604, staged);
            }
            Block _e605 = codes_1_0_;
            codes_0_0_ = _e605;
            RawScale _e606 = raw_1_0_0_;
            raw_0_0_0_ = _e606;
            uint _e607 = i_2;
            uint next = metal::min((first + _e607) + 2u, blocks_2 - 1u);
            Block _e618 = load_block((tile_3 * blocks_2) + next, lane + 0u, weight_codes, _buffer_sizes);
            codes_1_0_ = _e618;
            RawScale _e622 = raw_scale(tile_3, next, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
            raw_1_0_0_ = _e622;
            metal::simdgroup_barrier(metal::mem_flags::mem_threadgroup);
            {
                metal::simdgroup_half8x8 a_0_ = NagaCooperativeLoad(&row_halves.inner[x_at + 0u], 0u, false);
                metal::simdgroup_half8x8 b_0_ = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                metal::simdgroup_float8x8 _e635 = sum_0_0_;
                sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_, b_0_, _e635);
                metal::simdgroup_half8x8 b_1_ = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                metal::simdgroup_float8x8 _e643 = sum_0_1_;
                sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_, b_1_, _e643);
                metal::simdgroup_half8x8 b_2_ = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                metal::simdgroup_float8x8 _e651 = sum_0_2_;
                sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_, b_2_, _e651);
                metal::simdgroup_half8x8 b_3_ = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                metal::simdgroup_float8x8 _e659 = sum_0_3_;
                sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_, b_3_, _e659);
            }
            {
                metal::simdgroup_half8x8 a_0_1 = NagaCooperativeLoad(&row_halves.inner[x_at + 8u], 0u, false);
                metal::simdgroup_half8x8 b_0_1 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                metal::simdgroup_float8x8 _e673 = sum_0_0_;
                sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_1, b_0_1, _e673);
                metal::simdgroup_half8x8 b_1_1 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                metal::simdgroup_float8x8 _e681 = sum_0_1_;
                sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_1, b_1_1, _e681);
                metal::simdgroup_half8x8 b_2_1 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                metal::simdgroup_float8x8 _e689 = sum_0_2_;
                sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_1, b_2_1, _e689);
                metal::simdgroup_half8x8 b_3_1 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                metal::simdgroup_float8x8 _e697 = sum_0_3_;
                sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_1, b_3_1, _e697);
            }
            {
                metal::simdgroup_half8x8 a_0_2 = NagaCooperativeLoad(&row_halves.inner[x_at + 16u], 0u, false);
                metal::simdgroup_half8x8 b_0_2 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                metal::simdgroup_float8x8 _e711 = sum_0_0_;
                sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_2, b_0_2, _e711);
                metal::simdgroup_half8x8 b_1_2 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                metal::simdgroup_float8x8 _e719 = sum_0_1_;
                sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_2, b_1_2, _e719);
                metal::simdgroup_half8x8 b_2_2 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                metal::simdgroup_float8x8 _e727 = sum_0_2_;
                sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_2, b_2_2, _e727);
                metal::simdgroup_half8x8 b_3_2 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                metal::simdgroup_float8x8 _e735 = sum_0_3_;
                sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_2, b_3_2, _e735);
            }
            {
                metal::simdgroup_half8x8 a_0_3 = NagaCooperativeLoad(&row_halves.inner[x_at + 24u], 0u, false);
                metal::simdgroup_half8x8 b_0_3 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                metal::simdgroup_float8x8 _e749 = sum_0_0_;
                sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_3, b_0_3, _e749);
                metal::simdgroup_half8x8 b_1_3 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                metal::simdgroup_float8x8 _e757 = sum_0_1_;
                sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_3, b_1_3, _e757);
                metal::simdgroup_half8x8 b_2_3 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                metal::simdgroup_float8x8 _e765 = sum_0_2_;
                sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_3, b_2_3, _e765);
                metal::simdgroup_half8x8 b_3_3 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                metal::simdgroup_float8x8 _e773 = sum_0_3_;
                sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_3, b_3_3, _e773);
            }
            metal::simdgroup_barrier(metal::mem_flags::mem_threadgroup);
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
        uint _e783 = round;
        if (_e783 == 0u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e786 = sum_0_0_;
            simdgroup_store(_e786, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e800 = sum_0_1_;
            simdgroup_store(_e800, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e814 = sum_0_2_;
            simdgroup_store(_e814, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e828 = sum_0_3_;
            simdgroup_store(_e828, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e843 = total_0_;
    float _e848 = sums.inner[0u + thread_];
    total_0_ = _e843 + _e848;
    float _e850 = total_0_;
    float _e855 = sums.inner[256u + thread_];
    total_0_ = _e850 + _e855;
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
        uint _e860 = round_1;
        if (_e860 == 1u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e863 = sum_0_0_;
            simdgroup_store(_e863, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e877 = sum_0_1_;
            simdgroup_store(_e877, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e891 = sum_0_2_;
            simdgroup_store(_e891, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e905 = sum_0_3_;
            simdgroup_store(_e905, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e920 = total_0_;
    float _e925 = sums.inner[0u + thread_];
    total_0_ = _e920 + _e925;
    float _e927 = total_0_;
    float _e932 = sums.inner[256u + thread_];
    total_0_ = _e927 + _e932;
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
        uint _e937 = round_2;
        if (_e937 == 2u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e940 = sum_0_0_;
            simdgroup_store(_e940, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e954 = sum_0_1_;
            simdgroup_store(_e954, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e968 = sum_0_2_;
            simdgroup_store(_e968, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e982 = sum_0_3_;
            simdgroup_store(_e982, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e997 = total_0_;
    float _e1002 = sums.inner[0u + thread_];
    total_0_ = _e997 + _e1002;
    float _e1004 = total_0_;
    float _e1009 = sums.inner[256u + thread_];
    total_0_ = _e1004 + _e1009;
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
        uint _e1014 = round_3;
        if (_e1014 == 3u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e1017 = sum_0_0_;
            simdgroup_store(_e1017, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e1031 = sum_0_1_;
            simdgroup_store(_e1031, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e1045 = sum_0_2_;
            simdgroup_store(_e1045, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e1059 = sum_0_3_;
            simdgroup_store(_e1059, &sums.inner[(((naga_mod(subgroup, 2u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e1074 = total_0_;
    float _e1079 = sums.inner[0u + thread_];
    total_0_ = _e1074 + _e1079;
    float _e1081 = total_0_;
    float _e1086 = sums.inner[256u + thread_];
    total_0_ = _e1081 + _e1086;
    {
        uint row_1 = naga_div(thread_ + 0u, 32u);
        float _e1099 = total_0_;
        store(row_1, (tile_3 * 32u) + naga_mod(thread_ + 0u, 32u), (_e1099 * inverse_factor) * 0.015625, out, params, _buffer_sizes);
        return;
    }
}

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
typedef metal::float4 type_4[1];
typedef metal::uint2 type_6[1];
typedef uint type_7[1];
struct Block {
    metal::uint2 p0_;
};
struct RawScale {
    uint scale;
    uint other;
};
typedef float type_10[1];
struct Params {
    uint features;
    uint columns;
    uint x_stride;
    float epsilon;
    float global_scale;
    float alpha;
    float limit;
    uint out_first;
};
struct Eight {
    metal::half4 low;
    metal::half4 high;
};
typedef metal::float2 HalfScale;
struct type_12 {
    half inner[9216];
};
struct type_13 {
    float inner[64];
};
struct type_14 {
    float inner[1024];
};
struct type_15 {
    half inner[4128];
};
struct type_16 {
    uint inner[8];
};
constant uint CODE = 2u;
constant uint SCALE = 2u;
constant uint GROUP = 32u;
constant uint ZERO = 0u;
constant uint BIAS = 0u;
constant uint RESIDUAL = 0u;
constant uint INPUT = 0u;
constant uint GATE = 0u;
constant uint QUADS = 1u;
constant uint PAIRED = 0u;
constant uint MATRIX = 8u;
constant uint SUBGROUP = 32u;
constant uint UNIT = 1u;
constant uint EACH = 2u;
constant uint FEATURES = 16u;
constant uint AT_ONCE = 2u;
constant uint PART = 16u;
constant uint DEPTH = 2u;
constant uint ROUNDS = 8u;
constant uint WHOLE = 1u;
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
    device type_6 const& weight_codes,
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
    device type_7 const& weight_scales,
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
    device type_7 const& weight_scales,
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
    device type_7 const& weight_scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    RawScale _e6 = raw_scale(tile_2, block_3, blocks_1, half_2, lane_4, weight_scales, _buffer_sizes);
    uint _e7 = group_of(block_3, half_2);
    metal::float2 _e8 = decode_scale(_e6, _e7, global_1);
    return _e8;
}

HalfScale half_scale(
    RawScale raw_2,
    uint block_4,
    uint half_3,
    float global_2
) {
    uint _e4 = group_of(block_4, half_3);
    metal::float2 _e5 = decode_scale(raw_2, _e4, global_2);
    return static_cast<metal::float2>(64.0 * _e5);
}

Eight eight_0_(
    Block b_28,
    HalfScale so_8
) {
    metal::float4 _e2 = weight_0_(b_28, so_8);
    metal::float4 _e3 = weight_1_(b_28, so_8);
    return Eight {static_cast<metal::half4>(metal::float4(_e2.x, _e3.x, _e2.y, _e3.y)), static_cast<metal::half4>(metal::float4(_e2.z, _e3.z, _e2.w, _e3.w))};
}

Eight eight_1_(
    Block b_29,
    HalfScale so_9
) {
    metal::float4 _e2 = weight_2_(b_29, so_9);
    metal::float4 _e3 = weight_3_(b_29, so_9);
    return Eight {static_cast<metal::half4>(metal::float4(_e2.x, _e3.x, _e2.y, _e3.y)), static_cast<metal::half4>(metal::float4(_e2.z, _e3.z, _e2.w, _e3.w))};
}

Eight eight_2_(
    Block b_30,
    HalfScale so_10
) {
    metal::float4 _e2 = weight_4_(b_30, so_10);
    metal::float4 _e3 = weight_5_(b_30, so_10);
    return Eight {static_cast<metal::half4>(metal::float4(_e2.x, _e3.x, _e2.y, _e3.y)), static_cast<metal::half4>(metal::float4(_e2.z, _e3.z, _e2.w, _e3.w))};
}

Eight eight_3_(
    Block b_31,
    HalfScale so_11
) {
    metal::float4 _e2 = weight_6_(b_31, so_11);
    metal::float4 _e3 = weight_7_(b_31, so_11);
    return Eight {static_cast<metal::half4>(metal::float4(_e2.x, _e3.x, _e2.y, _e3.y)), static_cast<metal::half4>(metal::float4(_e2.z, _e3.z, _e2.w, _e3.w))};
}

uint row_columns(
) {
    return 4096u;
}

metal::float4 plain_quad(
    uint row,
    uint k,
    device type_4 const& x_22,
    constant Params& params,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e2 = row_columns();
    if (k >= _e2) {
        return metal::float4(0.0);
    }
    uint _e9 = params.x_stride;
    metal::float4 _e15 = x_22[naga_div((row * _e9) + k, 4u)];
    return _e15;
}

metal::float4 norm_quad(
    uint k_1,
    device type_4 const& norm_weight,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e1 = row_columns();
    if (k_1 >= _e1) {
        return metal::float4(0.0);
    }
    metal::float4 _e9 = norm_weight[naga_div(k_1, 4u)];
    return _e9;
}

metal::float4 input_quad(
    uint row_1,
    uint k_2,
    float inverse,
    device type_4 const& x_22,
    constant Params& params,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e3 = row_columns();
    if (k_2 >= _e3) {
        return metal::float4(0.0);
    }
    uint _e9 = params.x_stride;
    uint at_2 = naga_div((row_1 * _e9) + k_2, 4u);
    metal::float4 _e16 = x_22[at_2];
    return _e16;
}

void stage(
    uint at,
    metal::half4 value,
    threadgroup type_12& staged
) {
    staged.inner[at] = value.x;
    staged.inner[at + 1u] = value.y;
    staged.inner[at + 2u] = value.z;
    staged.inner[at + 3u] = value.w;
    return;
}

void lay(
    uint at_1,
    metal::half4 value_1,
    threadgroup type_15& row_halves
) {
    row_halves.inner[at_1] = value_1.x;
    row_halves.inner[at_1 + 1u] = value_1.y;
    row_halves.inner[at_1 + 2u] = value_1.z;
    row_halves.inner[at_1 + 3u] = value_1.w;
    return;
}

float joined(
    uint first,
    threadgroup type_14& sums
) {
    float whole = 0.0;
    float _e3 = whole;
    float _e8 = sums.inner[first + 0u];
    whole = _e3 + _e8;
    float _e10 = whole;
    float _e15 = sums.inner[first + 128u];
    whole = _e10 + _e15;
    float _e17 = whole;
    float _e22 = sums.inner[first + 256u];
    whole = _e17 + _e22;
    float _e24 = whole;
    float _e29 = sums.inner[first + 384u];
    whole = _e24 + _e29;
    float _e31 = whole;
    float _e36 = sums.inner[first + 512u];
    whole = _e31 + _e36;
    float _e38 = whole;
    float _e43 = sums.inner[first + 640u];
    whole = _e38 + _e43;
    float _e45 = whole;
    float _e50 = sums.inner[first + 768u];
    whole = _e45 + _e50;
    float _e52 = whole;
    float _e57 = sums.inner[first + 896u];
    whole = _e52 + _e57;
    float _e59 = whole;
    return _e59;
}
uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
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


struct main_Input {
};
[[max_total_threads_per_threadgroup(256)]] kernel void main_(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint thread_ [[thread_index_in_threadgroup]]
, uint subgroup [[simdgroup_index_in_threadgroup]]
, uint lane [[thread_index_in_simdgroup]]
, device type_4 const& x_22 [[user(fake0)]]
, device type_6 const& weight_codes [[user(fake0)]]
, device type_7 const& weight_scales [[user(fake0)]]
, device type_10& out [[user(fake0)]]
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
    Block codes_0_0_ = {};
    RawScale raw_0_0_0_ = {};
    Block codes_0_1_ = {};
    RawScale raw_0_1_0_ = {};
    HalfScale so_0_0_ = {};
    uint i = {};
    uint largest = 0u;
    metal::simdgroup_float8x8 sum_0_ = {};
    metal::simdgroup_float8x8 sum_1_ = {};
    uint i_1 = 0u;
    bool local = {};
    float sum = {};
    uint _e5 = row_columns();
    uint blocks_2 = naga_div(_e5 + 31u, 32u);
    uint first_1 = subgroup * 16u;
    uint end = metal::min(first_1 + 16u, blocks_2);
    uint _e17 = params.features;
    uint last_tile = naga_div(_e17 + 31u, 32u) - 1u;
    uint here = subgroup * 1152u;
    uint item_0_ = lane + 0u;
    uint of_0_ = naga_mod(item_0_, 16u) + 0u;
    uint feature_0_ = (group.x * 16u) + of_0_;
    uint tile_0_ = metal::min(naga_div(feature_0_, 32u), last_tile);
    uint place_0_ = naga_mod(feature_0_, 32u);
    uint staged_0_ = (here + (naga_mod(item_0_, 16u) * 72u)) + (naga_div(item_0_, 16u) * 32u);
    uint block_0_0_ = metal::min((first_1 + 0u) + naga_div(item_0_, 16u), blocks_2 - 1u);
    Block _e61 = load_block((tile_0_ * blocks_2) + block_0_0_, place_0_, weight_codes, _buffer_sizes);
    codes_0_0_ = _e61;
    RawScale _e64 = raw_scale(tile_0_, block_0_0_, blocks_2, 0u, place_0_, weight_scales, _buffer_sizes);
    raw_0_0_0_ = _e64;
    uint block_0_1_ = metal::min((first_1 + 2u) + naga_div(item_0_, 16u), blocks_2 - 1u);
    Block _e76 = load_block((tile_0_ * blocks_2) + block_0_1_, place_0_, weight_codes, _buffer_sizes);
    codes_0_1_ = _e76;
    RawScale _e79 = raw_scale(tile_0_, block_0_1_, blocks_2, 0u, place_0_, weight_scales, _buffer_sizes);
    raw_0_1_0_ = _e79;
    i = thread_;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e90 = i;
            i = _e90 + 256u;
        }
        loop_init = false;
        uint _e83 = i;
        if (_e83 < 64u) {
        } else {
            break;
        }
        {
            uint _e87 = i;
            zeros.inner[_e87] = 0.0;
        }
    }
    if (thread_ < 8u) {
        lay(4096u + (thread_ * 4u), metal::half4(0.0h), row_halves);
    }
    uint column_0_ = ((thread_ + 0u) * 8u) + 0u;
    metal::float4 _e108 = input_quad(0u, column_0_, 1.0, x_22, params, _buffer_sizes);
    uint column_1_ = ((thread_ + 0u) * 8u) + 4u;
    metal::float4 _e116 = input_quad(0u, column_1_, 1.0, x_22, params, _buffer_sizes);
    uint column_2_ = ((thread_ + 256u) * 8u) + 0u;
    metal::float4 _e124 = input_quad(0u, column_2_, 1.0, x_22, params, _buffer_sizes);
    uint column_3_ = ((thread_ + 256u) * 8u) + 4u;
    metal::float4 _e132 = input_quad(0u, column_3_, 1.0, x_22, params, _buffer_sizes);
    {
        metal::float4 size = metal::abs(_e108);
        uint _e136 = largest;
        largest = metal::max(_e136, as_type<uint>(metal::max(metal::max(size.x, size.y), metal::max(size.z, size.w))));
    }
    {
        metal::float4 size_1 = metal::abs(_e116);
        uint _e147 = largest;
        largest = metal::max(_e147, as_type<uint>(metal::max(metal::max(size_1.x, size_1.y), metal::max(size_1.z, size_1.w))));
    }
    {
        metal::float4 size_2 = metal::abs(_e124);
        uint _e158 = largest;
        largest = metal::max(_e158, as_type<uint>(metal::max(metal::max(size_2.x, size_2.y), metal::max(size_2.z, size_2.w))));
    }
    {
        metal::float4 size_3 = metal::abs(_e132);
        uint _e169 = largest;
        largest = metal::max(_e169, as_type<uint>(metal::max(metal::max(size_3.x, size_3.y), metal::max(size_3.z, size_3.w))));
    }
    uint _e179 = largest;
    uint unnamed = metal::simd_max(_e179);
    largest = unnamed;
    if (lane == 0u) {
        uint _e185 = largest;
        maxima.inner[subgroup] = _e185;
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint _e188 = maxima.inner[0];
    uint _e191 = maxima.inner[1];
    uint _e195 = maxima.inner[2];
    uint _e198 = maxima.inner[3];
    uint _e203 = maxima.inner[4];
    uint _e206 = maxima.inner[5];
    uint _e210 = maxima.inner[6];
    uint _e213 = maxima.inner[7];
    largest = metal::max(metal::max(metal::max(_e188, _e191), metal::max(_e195, _e198)), metal::max(metal::max(_e203, _e206), metal::max(_e210, _e213)));
    uint _e217 = largest;
    uint exponent = metal::max(_e217 >> 23u, 40u);
    float inverse_factor = as_type<float>((exponent - 13u) << 23u);
    float factor = as_type<float>((267u - exponent) << 23u);
    metal::float4 low_0_ = _e108 * factor;
    metal::float4 high_0_ = _e116 * factor;
    metal::half4 first_0_ = static_cast<metal::half4>(metal::float4(low_0_.x, high_0_.x, low_0_.y, high_0_.y));
    metal::half4 second_0_ = static_cast<metal::half4>(metal::float4(low_0_.z, high_0_.z, low_0_.w, high_0_.w));
    metal::float4 low_1_ = _e124 * factor;
    metal::float4 high_1_ = _e132 * factor;
    metal::half4 first_1_ = static_cast<metal::half4>(metal::float4(low_1_.x, high_1_.x, low_1_.y, high_1_.y));
    metal::half4 second_1_ = static_cast<metal::half4>(metal::float4(low_1_.z, high_1_.z, low_1_.w, high_1_.w));
    lay(column_0_, first_0_, row_halves);
    lay(column_1_, second_0_, row_halves);
    lay(column_2_, first_1_, row_halves);
    lay(column_3_, second_1_, row_halves);
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    sum_0_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
    sum_1_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
    uint2 loop_bound_1 = uint2(4294967295u);
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        uint _e272 = i_1;
        bool unnamed_1 = metal::simd_all(_e272 >= 16u);
        if (unnamed_1) {
            break;
        }
        uint _e276 = i_1;
        uint block_0_0_1 = (first_1 + _e276) + 0u;
        uint x_0_0_ = block_0_0_1 * 32u;
        metal::simdgroup_half8x8 a_0_0_0_ = NagaCooperativeLoad(&row_halves.inner[x_0_0_ + 0u], 0u, false);
        metal::simdgroup_half8x8 a_0_0_1_ = NagaCooperativeLoad(&row_halves.inner[x_0_0_ + 8u], 0u, false);
        metal::simdgroup_half8x8 a_0_0_2_ = NagaCooperativeLoad(&row_halves.inner[x_0_0_ + 16u], 0u, false);
        metal::simdgroup_half8x8 a_0_0_3_ = NagaCooperativeLoad(&row_halves.inner[x_0_0_ + 24u], 0u, false);
        uint _e306 = i_1;
        uint block_0_1_1 = (first_1 + _e306) + 1u;
        uint x_0_1_ = block_0_1_1 * 32u;
        metal::simdgroup_half8x8 a_0_1_0_ = NagaCooperativeLoad(&row_halves.inner[x_0_1_ + 0u], 0u, false);
        metal::simdgroup_half8x8 a_0_1_1_ = NagaCooperativeLoad(&row_halves.inner[x_0_1_ + 8u], 0u, false);
        metal::simdgroup_half8x8 a_0_1_2_ = NagaCooperativeLoad(&row_halves.inner[x_0_1_ + 16u], 0u, false);
        metal::simdgroup_half8x8 a_0_1_3_ = NagaCooperativeLoad(&row_halves.inner[x_0_1_ + 24u], 0u, false);
        {
            uint _e336 = i_1;
            uint block_5 = ((first_1 + _e336) + 0u) + naga_div(item_0_, 16u);
            RawScale _e343 = raw_0_0_0_;
            float _e347 = params.global_scale;
            HalfScale _e348 = half_scale(_e343, block_5, 0u, _e347);
            so_0_0_ = _e348;
            Block _e349 = codes_0_0_;
            HalfScale _e350 = so_0_0_;
            Eight _e351 = eight_0_(_e349, _e350);
            stage(staged_0_ + 0u, _e351.low, staged);
            stage(staged_0_ + 4u, _e351.high, staged);
            Block _e358 = codes_0_0_;
            HalfScale _e359 = so_0_0_;
            Eight _e360 = eight_1_(_e358, _e359);
            stage(staged_0_ + 8u, _e360.low, staged);
            stage(staged_0_ + 12u, _e360.high, staged);
            Block _e367 = codes_0_0_;
            HalfScale _e368 = so_0_0_;
            Eight _e369 = eight_2_(_e367, _e368);
            stage(staged_0_ + 16u, _e369.low, staged);
            stage(staged_0_ + 20u, _e369.high, staged);
            Block _e376 = codes_0_0_;
            HalfScale _e377 = so_0_0_;
            Eight _e378 = eight_3_(_e376, _e377);
            stage(staged_0_ + 24u, _e378.low, staged);
            stage(staged_0_ + 28u, _e378.high, staged);
            uint next = metal::min(block_5 + 4u, blocks_2 - 1u);
            Block _e392 = load_block((tile_0_ * blocks_2) + next, place_0_, weight_codes, _buffer_sizes);
            codes_0_0_ = _e392;
            RawScale _e394 = raw_scale(tile_0_, next, blocks_2, 0u, place_0_, weight_scales, _buffer_sizes);
            raw_0_0_0_ = _e394;
        }
        metal::simdgroup_barrier(metal::mem_flags::mem_threadgroup);
        metal::simdgroup_half8x8 b_0_0_0_0_0_ = NagaCooperativeLoad(&staged.inner[here + 0u], 72u, true);
        metal::simdgroup_float8x8 _e401 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_0_0_0_, b_0_0_0_0_0_, _e401);
        metal::simdgroup_half8x8 b_0_0_0_0_1_ = NagaCooperativeLoad(&staged.inner[here + 576u], 72u, true);
        metal::simdgroup_float8x8 _e409 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_0_0_0_, b_0_0_0_0_1_, _e409);
        metal::simdgroup_half8x8 b_0_0_0_1_0_ = NagaCooperativeLoad(&staged.inner[here + 8u], 72u, true);
        metal::simdgroup_float8x8 _e417 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_0_0_1_, b_0_0_0_1_0_, _e417);
        metal::simdgroup_half8x8 b_0_0_0_1_1_ = NagaCooperativeLoad(&staged.inner[here + 584u], 72u, true);
        metal::simdgroup_float8x8 _e425 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_0_0_1_, b_0_0_0_1_1_, _e425);
        metal::simdgroup_half8x8 b_0_0_0_2_0_ = NagaCooperativeLoad(&staged.inner[here + 16u], 72u, true);
        metal::simdgroup_float8x8 _e433 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_0_0_2_, b_0_0_0_2_0_, _e433);
        metal::simdgroup_half8x8 b_0_0_0_2_1_ = NagaCooperativeLoad(&staged.inner[here + 592u], 72u, true);
        metal::simdgroup_float8x8 _e441 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_0_0_2_, b_0_0_0_2_1_, _e441);
        metal::simdgroup_half8x8 b_0_0_0_3_0_ = NagaCooperativeLoad(&staged.inner[here + 24u], 72u, true);
        metal::simdgroup_float8x8 _e449 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_0_0_3_, b_0_0_0_3_0_, _e449);
        metal::simdgroup_half8x8 b_0_0_0_3_1_ = NagaCooperativeLoad(&staged.inner[here + 600u], 72u, true);
        metal::simdgroup_float8x8 _e457 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_0_0_3_, b_0_0_0_3_1_, _e457);
        metal::simdgroup_half8x8 b_0_0_1_0_0_ = NagaCooperativeLoad(&staged.inner[here + 32u], 72u, true);
        metal::simdgroup_float8x8 _e465 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_0_1_0_, b_0_0_1_0_0_, _e465);
        metal::simdgroup_half8x8 b_0_0_1_0_1_ = NagaCooperativeLoad(&staged.inner[here + 608u], 72u, true);
        metal::simdgroup_float8x8 _e473 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_0_1_0_, b_0_0_1_0_1_, _e473);
        metal::simdgroup_half8x8 b_0_0_1_1_0_ = NagaCooperativeLoad(&staged.inner[here + 40u], 72u, true);
        metal::simdgroup_float8x8 _e481 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_0_1_1_, b_0_0_1_1_0_, _e481);
        metal::simdgroup_half8x8 b_0_0_1_1_1_ = NagaCooperativeLoad(&staged.inner[here + 616u], 72u, true);
        metal::simdgroup_float8x8 _e489 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_0_1_1_, b_0_0_1_1_1_, _e489);
        metal::simdgroup_half8x8 b_0_0_1_2_0_ = NagaCooperativeLoad(&staged.inner[here + 48u], 72u, true);
        metal::simdgroup_float8x8 _e497 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_0_1_2_, b_0_0_1_2_0_, _e497);
        metal::simdgroup_half8x8 b_0_0_1_2_1_ = NagaCooperativeLoad(&staged.inner[here + 624u], 72u, true);
        metal::simdgroup_float8x8 _e505 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_0_1_2_, b_0_0_1_2_1_, _e505);
        metal::simdgroup_half8x8 b_0_0_1_3_0_ = NagaCooperativeLoad(&staged.inner[here + 56u], 72u, true);
        metal::simdgroup_float8x8 _e513 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_0_1_3_, b_0_0_1_3_0_, _e513);
        metal::simdgroup_half8x8 b_0_0_1_3_1_ = NagaCooperativeLoad(&staged.inner[here + 632u], 72u, true);
        metal::simdgroup_float8x8 _e521 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_0_1_3_, b_0_0_1_3_1_, _e521);
        metal::simdgroup_barrier(metal::mem_flags::mem_threadgroup);
        uint _e523 = i_1;
        uint block_1_0_ = (first_1 + _e523) + 2u;
        uint x_1_0_ = block_1_0_ * 32u;
        metal::simdgroup_half8x8 a_1_0_0_ = NagaCooperativeLoad(&row_halves.inner[x_1_0_ + 0u], 0u, false);
        metal::simdgroup_half8x8 a_1_0_1_ = NagaCooperativeLoad(&row_halves.inner[x_1_0_ + 8u], 0u, false);
        metal::simdgroup_half8x8 a_1_0_2_ = NagaCooperativeLoad(&row_halves.inner[x_1_0_ + 16u], 0u, false);
        metal::simdgroup_half8x8 a_1_0_3_ = NagaCooperativeLoad(&row_halves.inner[x_1_0_ + 24u], 0u, false);
        uint _e553 = i_1;
        uint block_1_1_ = (first_1 + _e553) + 3u;
        uint x_1_1_ = block_1_1_ * 32u;
        metal::simdgroup_half8x8 a_1_1_0_ = NagaCooperativeLoad(&row_halves.inner[x_1_1_ + 0u], 0u, false);
        metal::simdgroup_half8x8 a_1_1_1_ = NagaCooperativeLoad(&row_halves.inner[x_1_1_ + 8u], 0u, false);
        metal::simdgroup_half8x8 a_1_1_2_ = NagaCooperativeLoad(&row_halves.inner[x_1_1_ + 16u], 0u, false);
        metal::simdgroup_half8x8 a_1_1_3_ = NagaCooperativeLoad(&row_halves.inner[x_1_1_ + 24u], 0u, false);
        {
            uint _e583 = i_1;
            uint block_6 = ((first_1 + _e583) + 2u) + naga_div(item_0_, 16u);
            RawScale _e590 = raw_0_1_0_;
            float _e594 = params.global_scale;
            HalfScale _e595 = half_scale(_e590, block_6, 0u, _e594);
            so_0_0_ = _e595;
            Block _e596 = codes_0_1_;
            HalfScale _e597 = so_0_0_;
            Eight _e598 = eight_0_(_e596, _e597);
            stage(staged_0_ + 0u, _e598.low, staged);
            stage(staged_0_ + 4u, _e598.high, staged);
            Block _e605 = codes_0_1_;
            HalfScale _e606 = so_0_0_;
            Eight _e607 = eight_1_(_e605, _e606);
            stage(staged_0_ + 8u, _e607.low, staged);
            stage(staged_0_ + 12u, _e607.high, staged);
            Block _e614 = codes_0_1_;
            HalfScale _e615 = so_0_0_;
            Eight _e616 = eight_2_(_e614, _e615);
            stage(staged_0_ + 16u, _e616.low, staged);
            stage(staged_0_ + 20u, _e616.high, staged);
            Block _e623 = codes_0_1_;
            HalfScale _e624 = so_0_0_;
            Eight _e625 = eight_3_(_e623, _e624);
            stage(staged_0_ + 24u, _e625.low, staged);
            stage(staged_0_ + 28u, _e625.high, staged);
            uint next_1 = metal::min(block_6 + 4u, blocks_2 - 1u);
            Block _e639 = load_block((tile_0_ * blocks_2) + next_1, place_0_, weight_codes, _buffer_sizes);
            codes_0_1_ = _e639;
            RawScale _e641 = raw_scale(tile_0_, next_1, blocks_2, 0u, place_0_, weight_scales, _buffer_sizes);
            raw_0_1_0_ = _e641;
        }
        metal::simdgroup_barrier(metal::mem_flags::mem_threadgroup);
        metal::simdgroup_half8x8 b_1_0_0_0_0_ = NagaCooperativeLoad(&staged.inner[here + 0u], 72u, true);
        metal::simdgroup_float8x8 _e648 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_1_0_0_, b_1_0_0_0_0_, _e648);
        metal::simdgroup_half8x8 b_1_0_0_0_1_ = NagaCooperativeLoad(&staged.inner[here + 576u], 72u, true);
        metal::simdgroup_float8x8 _e656 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_1_0_0_, b_1_0_0_0_1_, _e656);
        metal::simdgroup_half8x8 b_1_0_0_1_0_ = NagaCooperativeLoad(&staged.inner[here + 8u], 72u, true);
        metal::simdgroup_float8x8 _e664 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_1_0_1_, b_1_0_0_1_0_, _e664);
        metal::simdgroup_half8x8 b_1_0_0_1_1_ = NagaCooperativeLoad(&staged.inner[here + 584u], 72u, true);
        metal::simdgroup_float8x8 _e672 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_1_0_1_, b_1_0_0_1_1_, _e672);
        metal::simdgroup_half8x8 b_1_0_0_2_0_ = NagaCooperativeLoad(&staged.inner[here + 16u], 72u, true);
        metal::simdgroup_float8x8 _e680 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_1_0_2_, b_1_0_0_2_0_, _e680);
        metal::simdgroup_half8x8 b_1_0_0_2_1_ = NagaCooperativeLoad(&staged.inner[here + 592u], 72u, true);
        metal::simdgroup_float8x8 _e688 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_1_0_2_, b_1_0_0_2_1_, _e688);
        metal::simdgroup_half8x8 b_1_0_0_3_0_ = NagaCooperativeLoad(&staged.inner[here + 24u], 72u, true);
        metal::simdgroup_float8x8 _e696 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_1_0_3_, b_1_0_0_3_0_, _e696);
        metal::simdgroup_half8x8 b_1_0_0_3_1_ = NagaCooperativeLoad(&staged.inner[here + 600u], 72u, true);
        metal::simdgroup_float8x8 _e704 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_1_0_3_, b_1_0_0_3_1_, _e704);
        metal::simdgroup_half8x8 b_1_0_1_0_0_ = NagaCooperativeLoad(&staged.inner[here + 32u], 72u, true);
        metal::simdgroup_float8x8 _e712 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_1_1_0_, b_1_0_1_0_0_, _e712);
        metal::simdgroup_half8x8 b_1_0_1_0_1_ = NagaCooperativeLoad(&staged.inner[here + 608u], 72u, true);
        metal::simdgroup_float8x8 _e720 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_1_1_0_, b_1_0_1_0_1_, _e720);
        metal::simdgroup_half8x8 b_1_0_1_1_0_ = NagaCooperativeLoad(&staged.inner[here + 40u], 72u, true);
        metal::simdgroup_float8x8 _e728 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_1_1_1_, b_1_0_1_1_0_, _e728);
        metal::simdgroup_half8x8 b_1_0_1_1_1_ = NagaCooperativeLoad(&staged.inner[here + 616u], 72u, true);
        metal::simdgroup_float8x8 _e736 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_1_1_1_, b_1_0_1_1_1_, _e736);
        metal::simdgroup_half8x8 b_1_0_1_2_0_ = NagaCooperativeLoad(&staged.inner[here + 48u], 72u, true);
        metal::simdgroup_float8x8 _e744 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_1_1_2_, b_1_0_1_2_0_, _e744);
        metal::simdgroup_half8x8 b_1_0_1_2_1_ = NagaCooperativeLoad(&staged.inner[here + 624u], 72u, true);
        metal::simdgroup_float8x8 _e752 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_1_1_2_, b_1_0_1_2_1_, _e752);
        metal::simdgroup_half8x8 b_1_0_1_3_0_ = NagaCooperativeLoad(&staged.inner[here + 56u], 72u, true);
        metal::simdgroup_float8x8 _e760 = sum_0_;
        sum_0_ = NagaCooperativeMultiplyAdd(a_1_1_3_, b_1_0_1_3_0_, _e760);
        metal::simdgroup_half8x8 b_1_0_1_3_1_ = NagaCooperativeLoad(&staged.inner[here + 632u], 72u, true);
        metal::simdgroup_float8x8 _e768 = sum_1_;
        sum_1_ = NagaCooperativeMultiplyAdd(a_1_1_3_, b_1_0_1_3_1_, _e768);
        metal::simdgroup_barrier(metal::mem_flags::mem_threadgroup);
        uint _e770 = i_1;
        i_1 = _e770 + 4u;
    }
    metal::simdgroup_float8x8 _e773 = sum_0_;
    simdgroup_store(_e773, &sums.inner[(subgroup * 128u) + 0u], 16u);
    metal::simdgroup_float8x8 _e781 = sum_1_;
    simdgroup_store(_e781, &sums.inner[(subgroup * 128u) + 8u], 16u);
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint feature = (group.x * 16u) + thread_;
    if (thread_ < 16u) {
        uint _e799 = params.features;
        local = feature < _e799;
    } else {
        local = false;
    }
    bool _e802 = local;
    if (_e802) {
        float back = inverse_factor * 0.015625;
        float _e805 = joined(thread_, sums);
        sum = _e805 * back;
        uint _e810 = params.out_first;
        uint at_3 = _e810 + feature;
        float _e814 = sum;
        out[at_3] = _e814;
        return;
    } else {
        return;
    }
}

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
typedef half type_3[1];
typedef float type_4[1];
typedef metal::uint2 type_6[1];
typedef uint type_7[1];
struct Block {
    metal::uint2 p0_;
};
struct RawScale {
    uint scale;
    uint other;
};
struct Eight {
    metal::half4 low;
    metal::half4 high;
};
typedef metal::float2 HalfScale;
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
};
struct type_13 {
    half inner[10240];
};
struct type_14 {
    float inner[64];
};
struct type_15 {
    float inner[2048];
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
constant uint AT_ONCE = 8u;
constant metal::float4 PRESCALE = metal::float4(1.0, 0.25, 0.0625, 0.015625);

Block load_block(
    uint block,
    uint lane_1,
    device type_6 const& weight_codes,
    constant _mslBufferSizes& _buffer_sizes
) {
    Block b = {};
    metal::uint2 _e13 = weight_codes[(((block * 1u) + 0u) * 32u) + lane_1];
    b.p0_ = _e13;
    Block _e14 = b;
    return _e14;
}

metal::float4 small(
    metal::uint4 code
) {
    return as_type<metal::float4>(code | metal::uint4(1258291200u)) - metal::float4(8388608.0);
}

metal::float4 unpack_0_(
    Block b_1
) {
    metal::float4 _e12 = small(metal::uint4(b_1.p0_.x >> 0u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 unpack_1_(
    Block b_2
) {
    metal::float4 _e12 = small(metal::uint4(b_2.p0_.x >> 8u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 unpack_2_(
    Block b_3
) {
    metal::float4 _e12 = small(metal::uint4(b_3.p0_.x >> 16u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 unpack_3_(
    Block b_4
) {
    metal::float4 _e12 = small(metal::uint4(b_4.p0_.x >> 24u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 unpack_4_(
    Block b_5
) {
    metal::float4 _e12 = small(metal::uint4(b_5.p0_.y >> 0u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 unpack_5_(
    Block b_6
) {
    metal::float4 _e12 = small(metal::uint4(b_6.p0_.y >> 8u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 unpack_6_(
    Block b_7
) {
    metal::float4 _e12 = small(metal::uint4(b_7.p0_.y >> 16u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 unpack_7_(
    Block b_8
) {
    metal::float4 _e12 = small(metal::uint4(b_8.p0_.y >> 24u) & metal::uint4(3u, 12u, 48u, 192u));
    return _e12;
}

metal::float4 weight_0_(
    Block b_9,
    metal::float2 so
) {
    metal::float4 _e2 = unpack_0_(b_9);
    return metal::fma(_e2, PRESCALE * so.x, metal::float4(so.y));
}

metal::float4 weight_1_(
    Block b_10,
    metal::float2 so_1
) {
    metal::float4 _e2 = unpack_1_(b_10);
    return metal::fma(_e2, PRESCALE * so_1.x, metal::float4(so_1.y));
}

metal::float4 weight_2_(
    Block b_11,
    metal::float2 so_2
) {
    metal::float4 _e2 = unpack_2_(b_11);
    return metal::fma(_e2, PRESCALE * so_2.x, metal::float4(so_2.y));
}

metal::float4 weight_3_(
    Block b_12,
    metal::float2 so_3
) {
    metal::float4 _e2 = unpack_3_(b_12);
    return metal::fma(_e2, PRESCALE * so_3.x, metal::float4(so_3.y));
}

metal::float4 weight_4_(
    Block b_13,
    metal::float2 so_4
) {
    metal::float4 _e2 = unpack_4_(b_13);
    return metal::fma(_e2, PRESCALE * so_4.x, metal::float4(so_4.y));
}

metal::float4 weight_5_(
    Block b_14,
    metal::float2 so_5
) {
    metal::float4 _e2 = unpack_5_(b_14);
    return metal::fma(_e2, PRESCALE * so_5.x, metal::float4(so_5.y));
}

metal::float4 weight_6_(
    Block b_15,
    metal::float2 so_6
) {
    metal::float4 _e2 = unpack_6_(b_15);
    return metal::fma(_e2, PRESCALE * so_6.x, metal::float4(so_6.y));
}

metal::float4 weight_7_(
    Block b_16,
    metal::float2 so_7
) {
    metal::float4 _e2 = unpack_7_(b_16);
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
    Block b_17,
    HalfScale so_8
) {
    metal::float4 _e2 = weight_0_(b_17, so_8);
    metal::float4 _e3 = weight_1_(b_17, so_8);
    return Eight {static_cast<metal::half4>(metal::float4(_e2.x, _e3.x, _e2.y, _e3.y)), static_cast<metal::half4>(metal::float4(_e2.z, _e3.z, _e2.w, _e3.w))};
}

Eight eight_1_(
    Block b_18,
    HalfScale so_9
) {
    metal::float4 _e2 = weight_2_(b_18, so_9);
    metal::float4 _e3 = weight_3_(b_18, so_9);
    return Eight {static_cast<metal::half4>(metal::float4(_e2.x, _e3.x, _e2.y, _e3.y)), static_cast<metal::half4>(metal::float4(_e2.z, _e3.z, _e2.w, _e3.w))};
}

Eight eight_2_(
    Block b_19,
    HalfScale so_10
) {
    metal::float4 _e2 = weight_4_(b_19, so_10);
    metal::float4 _e3 = weight_5_(b_19, so_10);
    return Eight {static_cast<metal::half4>(metal::float4(_e2.x, _e3.x, _e2.y, _e3.y)), static_cast<metal::half4>(metal::float4(_e2.z, _e3.z, _e2.w, _e3.w))};
}

Eight eight_3_(
    Block b_20,
    HalfScale so_11
) {
    metal::float4 _e2 = weight_6_(b_20, so_11);
    metal::float4 _e3 = weight_7_(b_20, so_11);
    return Eight {static_cast<metal::half4>(metal::float4(_e2.x, _e3.x, _e2.y, _e3.y)), static_cast<metal::half4>(metal::float4(_e2.z, _e3.z, _e2.w, _e3.w))};
}

void store(
    uint row,
    uint feature,
    float value,
    device type_4& out,
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
    uint _e19 = params.out_first;
    uint bias_at = _e19 + feature;
    uint _e23 = params.first_row;
    uint _e27 = params.out_stride;
    uint at_1 = ((_e23 + row) * _e27) + bias_at;
    float _e32 = sum;
    out[at_1] = _e32;
    return;
}

void stage(
    uint at,
    metal::half4 value_1,
    threadgroup type_13& staged
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

metal::simdgroup_half8x8 NagaCooperativeLoad(const device half* ptr, int stride, bool is_row_major) {
    metal::simdgroup_half8x8 m;
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
, uint part [[simdgroup_index_in_threadgroup]]
, uint lane [[thread_index_in_simdgroup]]
, device type_3 const& x [[user(fake0)]]
, device type_4 const& factors [[user(fake0)]]
, device type_6 const& weight_codes [[user(fake0)]]
, device type_7 const& weight_scales [[user(fake0)]]
, device type_4& out [[user(fake0)]]
, constant Params& params [[user(fake0)]]
, threadgroup type_13& staged
, threadgroup type_14& zeros
, threadgroup type_15& sums
, constant _mslBufferSizes& _buffer_sizes [[user(fake0)]]
) {
    if (thread_ == 0u) {
        staged = {};
        zeros = {};
        sums = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint i = {};
    metal::simdgroup_float8x8 sum_0_0_ = {};
    metal::simdgroup_float8x8 sum_0_1_ = {};
    metal::simdgroup_float8x8 sum_0_2_ = {};
    metal::simdgroup_float8x8 sum_0_3_ = {};
    Block codes_0_ = {};
    HalfScale so_0_0_ = {};
    uint i_1 = 0u;
    float total_0_ = 0.0;
    uint round = {};
    uint _e6 = params.columns;
    uint blocks_2 = naga_div(_e6 + 31u, 32u);
    uint tile_3 = group.x;
    uint _e14 = params.part_blocks;
    uint first = part * _e14;
    uint _e18 = params.part_blocks;
    uint end = metal::min(first + _e18, blocks_2);
    uint first_row = group.y * 8u;
    uint here = part * 1280u;
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
    Block _e64 = load_block((tile_3 * blocks_2) + metal::min(first, blocks_2 - 1u), lane + 0u, weight_codes, _buffer_sizes);
    codes_0_ = _e64;
    RawScale _e72 = raw_scale(tile_3, metal::min(first, blocks_2 - 1u), blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
    float _e79 = params.global_scale;
    HalfScale _e80 = half_scale(_e72, metal::min(first, blocks_2 - 1u), 0u, _e79);
    so_0_0_ = _e80;
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e378 = i_1;
            i_1 = _e378 + 1u;
        }
        loop_init_1 = false;
        uint _e84 = i_1;
        uint _e87 = params.part_blocks;
        if (_e84 < _e87) {
        } else {
            break;
        }
        {
            uint _e89 = i_1;
            uint block_5 = first + _e89;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            {
                uint at_2 = here + ((lane + 0u) * 40u);
                Block _e96 = codes_0_;
                HalfScale _e97 = so_0_0_;
                Eight _e98 = eight_0_(_e96, _e97);
                stage(at_2 + 0u, (block_5 < end) ? _e98.low : metal::half4(0.0h), staged);
                stage(at_2 + 4u, (block_5 < end) ? _e98.high : metal::half4(0.0h), staged);
                Block _e113 = codes_0_;
                HalfScale _e114 = so_0_0_;
                Eight _e115 = eight_1_(_e113, _e114);
                stage(at_2 + 8u, (block_5 < end) ? _e115.low : metal::half4(0.0h), staged);
                stage(at_2 + 12u, (block_5 < end) ? _e115.high : metal::half4(0.0h), staged);
                Block _e130 = codes_0_;
                HalfScale _e131 = so_0_0_;
                Eight _e132 = eight_2_(_e130, _e131);
                stage(at_2 + 16u, (block_5 < end) ? _e132.low : metal::half4(0.0h), staged);
                stage(at_2 + 20u, (block_5 < end) ? _e132.high : metal::half4(0.0h), staged);
                Block _e147 = codes_0_;
                HalfScale _e148 = so_0_0_;
                Eight _e149 = eight_3_(_e147, _e148);
                stage(at_2 + 24u, (block_5 < end) ? _e149.low : metal::half4(0.0h), staged);
                stage(at_2 + 28u, (block_5 < end) ? _e149.high : metal::half4(0.0h), staged);
            }
            uint next = metal::min(block_5 + 1u, blocks_2 - 1u);
            Block _e173 = load_block((tile_3 * blocks_2) + next, lane + 0u, weight_codes, _buffer_sizes);
            codes_0_ = _e173;
            RawScale _e177 = raw_scale(tile_3, next, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
            float _e181 = params.global_scale;
            HalfScale _e182 = half_scale(_e177, next, 0u, _e181);
            so_0_0_ = _e182;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            uint _e185 = params.x_stride;
            uint x_at = (first_row * _e185) + (metal::min(block_5, blocks_2 - 1u) * 32u);
            {
                uint _e197 = params.x_stride;
                uint _e205 = params.x_stride;
                metal::simdgroup_half8x8 a_0_ = NagaCooperativeLoad(&x[(x_at + (0u * _e197)) + 0u], _e205, false);
                metal::simdgroup_half8x8 b_0_ = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                metal::simdgroup_float8x8 _e213 = sum_0_0_;
                sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_, b_0_, _e213);
                metal::simdgroup_half8x8 b_1_ = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                metal::simdgroup_float8x8 _e221 = sum_0_1_;
                sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_, b_1_, _e221);
                metal::simdgroup_half8x8 b_2_ = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                metal::simdgroup_float8x8 _e229 = sum_0_2_;
                sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_, b_2_, _e229);
                metal::simdgroup_half8x8 b_3_ = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                metal::simdgroup_float8x8 _e237 = sum_0_3_;
                sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_, b_3_, _e237);
            }
            {
                uint _e243 = params.x_stride;
                uint _e251 = params.x_stride;
                metal::simdgroup_half8x8 a_0_1 = NagaCooperativeLoad(&x[(x_at + (0u * _e243)) + 8u], _e251, false);
                metal::simdgroup_half8x8 b_0_1 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                metal::simdgroup_float8x8 _e259 = sum_0_0_;
                sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_1, b_0_1, _e259);
                metal::simdgroup_half8x8 b_1_1 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                metal::simdgroup_float8x8 _e267 = sum_0_1_;
                sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_1, b_1_1, _e267);
                metal::simdgroup_half8x8 b_2_1 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                metal::simdgroup_float8x8 _e275 = sum_0_2_;
                sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_1, b_2_1, _e275);
                metal::simdgroup_half8x8 b_3_1 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                metal::simdgroup_float8x8 _e283 = sum_0_3_;
                sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_1, b_3_1, _e283);
            }
            {
                uint _e289 = params.x_stride;
                uint _e297 = params.x_stride;
                metal::simdgroup_half8x8 a_0_2 = NagaCooperativeLoad(&x[(x_at + (0u * _e289)) + 16u], _e297, false);
                metal::simdgroup_half8x8 b_0_2 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                metal::simdgroup_float8x8 _e305 = sum_0_0_;
                sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_2, b_0_2, _e305);
                metal::simdgroup_half8x8 b_1_2 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                metal::simdgroup_float8x8 _e313 = sum_0_1_;
                sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_2, b_1_2, _e313);
                metal::simdgroup_half8x8 b_2_2 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                metal::simdgroup_float8x8 _e321 = sum_0_2_;
                sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_2, b_2_2, _e321);
                metal::simdgroup_half8x8 b_3_2 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                metal::simdgroup_float8x8 _e329 = sum_0_3_;
                sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_2, b_3_2, _e329);
            }
            {
                uint _e335 = params.x_stride;
                uint _e343 = params.x_stride;
                metal::simdgroup_half8x8 a_0_3 = NagaCooperativeLoad(&x[(x_at + (0u * _e335)) + 24u], _e343, false);
                metal::simdgroup_half8x8 b_0_3 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                metal::simdgroup_float8x8 _e351 = sum_0_0_;
                sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_3, b_0_3, _e351);
                metal::simdgroup_half8x8 b_1_3 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                metal::simdgroup_float8x8 _e359 = sum_0_1_;
                sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_3, b_1_3, _e359);
                metal::simdgroup_half8x8 b_2_3 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                metal::simdgroup_float8x8 _e367 = sum_0_2_;
                sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_3, b_2_3, _e367);
                metal::simdgroup_half8x8 b_3_3 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                metal::simdgroup_float8x8 _e375 = sum_0_3_;
                sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_3, b_3_3, _e375);
            }
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    round = naga_div(part, 8u);
    uint2 loop_bound_2 = uint2(4294967295u);
    bool loop_init_2 = true;
    while(true) {
        if (metal::all(loop_bound_2 == uint2(0u))) { break; }
        loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
        if (!loop_init_2) {
            round = 8u;
        }
        loop_init_2 = false;
        uint _e385 = round;
        if (_e385 == 0u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e388 = sum_0_0_;
            simdgroup_store(_e388, &sums.inner[(((naga_mod(part, 8u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e402 = sum_0_1_;
            simdgroup_store(_e402, &sums.inner[(((naga_mod(part, 8u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e416 = sum_0_2_;
            simdgroup_store(_e416, &sums.inner[(((naga_mod(part, 8u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e430 = sum_0_3_;
            simdgroup_store(_e430, &sums.inner[(((naga_mod(part, 8u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e445 = total_0_;
    float _e450 = sums.inner[0u + thread_];
    total_0_ = _e445 + _e450;
    float _e452 = total_0_;
    float _e457 = sums.inner[256u + thread_];
    total_0_ = _e452 + _e457;
    float _e459 = total_0_;
    float _e464 = sums.inner[512u + thread_];
    total_0_ = _e459 + _e464;
    float _e466 = total_0_;
    float _e471 = sums.inner[768u + thread_];
    total_0_ = _e466 + _e471;
    float _e473 = total_0_;
    float _e478 = sums.inner[1024u + thread_];
    total_0_ = _e473 + _e478;
    float _e480 = total_0_;
    float _e485 = sums.inner[1280u + thread_];
    total_0_ = _e480 + _e485;
    float _e487 = total_0_;
    float _e492 = sums.inner[1536u + thread_];
    total_0_ = _e487 + _e492;
    float _e494 = total_0_;
    float _e499 = sums.inner[1792u + thread_];
    total_0_ = _e494 + _e499;
    {
        uint row_1 = first_row + naga_div(thread_ + 0u, 32u);
        float _e513 = total_0_;
        float _e516 = factors[row_1];
        store(row_1, (tile_3 * 32u) + naga_mod(thread_ + 0u, 32u), (_e513 * _e516) * 0.015625, out, params, _buffer_sizes);
        return;
    }
}

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
    Block b_17,
    metal::float2 so_8
) {
    metal::float4 _e2 = weight_0_(b_17, so_8);
    return static_cast<metal::half4>(_e2);
}

metal::half4 half_1_(
    Block b_18,
    metal::float2 so_9
) {
    metal::float4 _e2 = weight_1_(b_18, so_9);
    return static_cast<metal::half4>(_e2);
}

metal::half4 half_2_(
    Block b_19,
    metal::float2 so_10
) {
    metal::float4 _e2 = weight_2_(b_19, so_10);
    return static_cast<metal::half4>(_e2);
}

metal::half4 half_3_(
    Block b_20,
    metal::float2 so_11
) {
    metal::float4 _e2 = weight_3_(b_20, so_11);
    return static_cast<metal::half4>(_e2);
}

metal::half4 half_4_(
    Block b_21,
    metal::float2 so_12
) {
    metal::float4 _e2 = weight_4_(b_21, so_12);
    return static_cast<metal::half4>(_e2);
}

metal::half4 half_5_(
    Block b_22,
    metal::float2 so_13
) {
    metal::float4 _e2 = weight_5_(b_22, so_13);
    return static_cast<metal::half4>(_e2);
}

metal::half4 half_6_(
    Block b_23,
    metal::float2 so_14
) {
    metal::float4 _e2 = weight_6_(b_23, so_14);
    return static_cast<metal::half4>(_e2);
}

metal::half4 half_7_(
    Block b_24,
    metal::float2 so_15
) {
    metal::float4 _e2 = weight_7_(b_24, so_15);
    return static_cast<metal::half4>(_e2);
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
    metal::float2 so_0_0_ = {};
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
    metal::float2 _e80 = half_scale(_e72, metal::min(first, blocks_2 - 1u), 0u, _e79);
    so_0_0_ = _e80;
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e382 = i_1;
            i_1 = _e382 + 1u;
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
                Block _e100 = codes_0_;
                metal::float2 _e101 = so_0_0_;
                metal::half4 _e102 = half_0_(_e100, _e101);
                stage(at_2 + 0u, (block_5 < end) ? _e102 : metal::half4(0.0h), staged);
                Block _e109 = codes_0_;
                metal::float2 _e110 = so_0_0_;
                metal::half4 _e111 = half_1_(_e109, _e110);
                stage(at_2 + 4u, (block_5 < end) ? _e111 : metal::half4(0.0h), staged);
                Block _e118 = codes_0_;
                metal::float2 _e119 = so_0_0_;
                metal::half4 _e120 = half_2_(_e118, _e119);
                stage(at_2 + 8u, (block_5 < end) ? _e120 : metal::half4(0.0h), staged);
                Block _e127 = codes_0_;
                metal::float2 _e128 = so_0_0_;
                metal::half4 _e129 = half_3_(_e127, _e128);
                stage(at_2 + 12u, (block_5 < end) ? _e129 : metal::half4(0.0h), staged);
                Block _e136 = codes_0_;
                metal::float2 _e137 = so_0_0_;
                metal::half4 _e138 = half_4_(_e136, _e137);
                stage(at_2 + 16u, (block_5 < end) ? _e138 : metal::half4(0.0h), staged);
                Block _e145 = codes_0_;
                metal::float2 _e146 = so_0_0_;
                metal::half4 _e147 = half_5_(_e145, _e146);
                stage(at_2 + 20u, (block_5 < end) ? _e147 : metal::half4(0.0h), staged);
                Block _e154 = codes_0_;
                metal::float2 _e155 = so_0_0_;
                metal::half4 _e156 = half_6_(_e154, _e155);
                stage(at_2 + 24u, (block_5 < end) ? _e156 : metal::half4(0.0h), staged);
                Block _e163 = codes_0_;
                metal::float2 _e164 = so_0_0_;
                metal::half4 _e165 = half_7_(_e163, _e164);
                stage(at_2 + 28u, (block_5 < end) ? _e165 : metal::half4(0.0h), staged);
            }
            uint next = metal::min(block_5 + 1u, blocks_2 - 1u);
            Block _e177 = load_block((tile_3 * blocks_2) + next, lane + 0u, weight_codes, _buffer_sizes);
            codes_0_ = _e177;
            RawScale _e181 = raw_scale(tile_3, next, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
            float _e185 = params.global_scale;
            metal::float2 _e186 = half_scale(_e181, next, 0u, _e185);
            so_0_0_ = _e186;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            uint _e189 = params.x_stride;
            uint x_at = (first_row * _e189) + (metal::min(block_5, blocks_2 - 1u) * 32u);
            {
                uint _e201 = params.x_stride;
                uint _e209 = params.x_stride;
                metal::simdgroup_half8x8 a_0_ = NagaCooperativeLoad(&x[(x_at + (0u * _e201)) + 0u], _e209, false);
                metal::simdgroup_half8x8 b_0_ = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                metal::simdgroup_float8x8 _e217 = sum_0_0_;
                sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_, b_0_, _e217);
                metal::simdgroup_half8x8 b_1_ = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                metal::simdgroup_float8x8 _e225 = sum_0_1_;
                sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_, b_1_, _e225);
                metal::simdgroup_half8x8 b_2_ = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                metal::simdgroup_float8x8 _e233 = sum_0_2_;
                sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_, b_2_, _e233);
                metal::simdgroup_half8x8 b_3_ = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                metal::simdgroup_float8x8 _e241 = sum_0_3_;
                sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_, b_3_, _e241);
            }
            {
                uint _e247 = params.x_stride;
                uint _e255 = params.x_stride;
                metal::simdgroup_half8x8 a_0_1 = NagaCooperativeLoad(&x[(x_at + (0u * _e247)) + 8u], _e255, false);
                metal::simdgroup_half8x8 b_0_1 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                metal::simdgroup_float8x8 _e263 = sum_0_0_;
                sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_1, b_0_1, _e263);
                metal::simdgroup_half8x8 b_1_1 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                metal::simdgroup_float8x8 _e271 = sum_0_1_;
                sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_1, b_1_1, _e271);
                metal::simdgroup_half8x8 b_2_1 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                metal::simdgroup_float8x8 _e279 = sum_0_2_;
                sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_1, b_2_1, _e279);
                metal::simdgroup_half8x8 b_3_1 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                metal::simdgroup_float8x8 _e287 = sum_0_3_;
                sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_1, b_3_1, _e287);
            }
            {
                uint _e293 = params.x_stride;
                uint _e301 = params.x_stride;
                metal::simdgroup_half8x8 a_0_2 = NagaCooperativeLoad(&x[(x_at + (0u * _e293)) + 16u], _e301, false);
                metal::simdgroup_half8x8 b_0_2 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                metal::simdgroup_float8x8 _e309 = sum_0_0_;
                sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_2, b_0_2, _e309);
                metal::simdgroup_half8x8 b_1_2 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                metal::simdgroup_float8x8 _e317 = sum_0_1_;
                sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_2, b_1_2, _e317);
                metal::simdgroup_half8x8 b_2_2 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                metal::simdgroup_float8x8 _e325 = sum_0_2_;
                sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_2, b_2_2, _e325);
                metal::simdgroup_half8x8 b_3_2 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                metal::simdgroup_float8x8 _e333 = sum_0_3_;
                sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_2, b_3_2, _e333);
            }
            {
                uint _e339 = params.x_stride;
                uint _e347 = params.x_stride;
                metal::simdgroup_half8x8 a_0_3 = NagaCooperativeLoad(&x[(x_at + (0u * _e339)) + 24u], _e347, false);
                metal::simdgroup_half8x8 b_0_3 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                metal::simdgroup_float8x8 _e355 = sum_0_0_;
                sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_3, b_0_3, _e355);
                metal::simdgroup_half8x8 b_1_3 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                metal::simdgroup_float8x8 _e363 = sum_0_1_;
                sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_3, b_1_3, _e363);
                metal::simdgroup_half8x8 b_2_3 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                metal::simdgroup_float8x8 _e371 = sum_0_2_;
                sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_3, b_2_3, _e371);
                metal::simdgroup_half8x8 b_3_3 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                metal::simdgroup_float8x8 _e379 = sum_0_3_;
                sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_3, b_3_3, _e379);
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
        uint _e389 = round;
        if (_e389 == 0u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e392 = sum_0_0_;
            simdgroup_store(_e392, &sums.inner[(((naga_mod(part, 8u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e406 = sum_0_1_;
            simdgroup_store(_e406, &sums.inner[(((naga_mod(part, 8u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e420 = sum_0_2_;
            simdgroup_store(_e420, &sums.inner[(((naga_mod(part, 8u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e434 = sum_0_3_;
            simdgroup_store(_e434, &sums.inner[(((naga_mod(part, 8u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e449 = total_0_;
    float _e454 = sums.inner[0u + thread_];
    total_0_ = _e449 + _e454;
    float _e456 = total_0_;
    float _e461 = sums.inner[256u + thread_];
    total_0_ = _e456 + _e461;
    float _e463 = total_0_;
    float _e468 = sums.inner[512u + thread_];
    total_0_ = _e463 + _e468;
    float _e470 = total_0_;
    float _e475 = sums.inner[768u + thread_];
    total_0_ = _e470 + _e475;
    float _e477 = total_0_;
    float _e482 = sums.inner[1024u + thread_];
    total_0_ = _e477 + _e482;
    float _e484 = total_0_;
    float _e489 = sums.inner[1280u + thread_];
    total_0_ = _e484 + _e489;
    float _e491 = total_0_;
    float _e496 = sums.inner[1536u + thread_];
    total_0_ = _e491 + _e496;
    float _e498 = total_0_;
    float _e503 = sums.inner[1792u + thread_];
    total_0_ = _e498 + _e503;
    {
        uint row_1 = first_row + naga_div(thread_ + 0u, 32u);
        float _e517 = total_0_;
        float _e520 = factors[row_1];
        store(row_1, (tile_3 * 32u) + naga_mod(thread_ + 0u, 32u), (_e517 * _e520) * 0.015625, out, params, _buffer_sizes);
        return;
    }
}

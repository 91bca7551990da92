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
};
struct type_13 {
    half inner[10240];
};
struct type_14 {
    float inner[64];
};
struct type_15 {
    float inner[1024];
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
constant metal::float4 PRESCALE = metal::float4(1.0, 0.25, 0.0625, 0.015625);
constant metal::float4 UNSCALE = metal::float4(1.0, 4.0, 16.0, 64.0);

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
    Block b_9,
    metal::float2 so
) {
    metal::float4 _e2 = unpack_0_(b_9);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so.x, metal::float4(so.y)));
}

metal::half4 half_1_(
    Block b_10,
    metal::float2 so_1
) {
    metal::float4 _e2 = unpack_1_(b_10);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so_1.x, metal::float4(so_1.y)));
}

metal::half4 half_2_(
    Block b_11,
    metal::float2 so_2
) {
    metal::float4 _e2 = unpack_2_(b_11);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so_2.x, metal::float4(so_2.y)));
}

metal::half4 half_3_(
    Block b_12,
    metal::float2 so_3
) {
    metal::float4 _e2 = unpack_3_(b_12);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so_3.x, metal::float4(so_3.y)));
}

metal::half4 half_4_(
    Block b_13,
    metal::float2 so_4
) {
    metal::float4 _e2 = unpack_4_(b_13);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so_4.x, metal::float4(so_4.y)));
}

metal::half4 half_5_(
    Block b_14,
    metal::float2 so_5
) {
    metal::float4 _e2 = unpack_5_(b_14);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so_5.x, metal::float4(so_5.y)));
}

metal::half4 half_6_(
    Block b_15,
    metal::float2 so_6
) {
    metal::float4 _e2 = unpack_6_(b_15);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so_6.x, metal::float4(so_6.y)));
}

metal::half4 half_7_(
    Block b_16,
    metal::float2 so_7
) {
    metal::float4 _e2 = unpack_7_(b_16);
    return static_cast<metal::half4>(metal::fma(_e2, PRESCALE * so_7.x, metal::float4(so_7.y)));
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
    uint i_1 = 0u;
    float total_0_ = 0.0;
    uint round = {};
    uint round_1 = {};
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
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e2192 = i_1;
            i_1 = _e2192 + 8u;
        }
        loop_init_1 = false;
        uint _e203 = i_1;
        uint _e206 = params.part_blocks;
        if (_e203 < _e206) {
        } else {
            break;
        }
        {
            {
                uint _e208 = i_1;
                uint block_5 = (first + _e208) + 0u;
                uint _e214 = params.x_stride;
                uint x_stride = naga_div(_e214, 1u);
                uint x_at = (first_row * x_stride) + (metal::min(block_5, blocks_2 - 1u) * 32u);
                metal::simdgroup_half8x8 a_0_ = NagaCooperativeLoad(&x[x_at + 0u], x_stride, false);
                metal::simdgroup_half8x8 a_1_ = NagaCooperativeLoad(&x[x_at + 8u], x_stride, false);
                metal::simdgroup_half8x8 a_2_ = NagaCooperativeLoad(&x[x_at + 16u], x_stride, false);
                metal::simdgroup_half8x8 a_3_ = NagaCooperativeLoad(&x[x_at + 24u], x_stride, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_2 = here + ((lane + 0u) * 40u);
                    bool is_there = block_5 < end;
                    RawScale _e250 = raw_0_0_0_;
                    float _e254 = params.global_scale;
                    metal::float2 _e255 = half_scale(_e250, block_5, 0u, _e254);
                    Block _e260 = codes_0_0_;
                    metal::half4 _e261 = half_0_(_e260, _e255);
                    stage(at_2 + 0u, is_there ? _e261 : metal::half4(0.0h), staged);
                    Block _e267 = codes_0_0_;
                    metal::half4 _e268 = half_1_(_e267, _e255);
                    stage(at_2 + 4u, is_there ? _e268 : metal::half4(0.0h), staged);
                    Block _e274 = codes_0_0_;
                    metal::half4 _e275 = half_2_(_e274, _e255);
                    stage(at_2 + 8u, is_there ? _e275 : metal::half4(0.0h), staged);
                    Block _e281 = codes_0_0_;
                    metal::half4 _e282 = half_3_(_e281, _e255);
                    stage(at_2 + 12u, is_there ? _e282 : metal::half4(0.0h), staged);
                    Block _e288 = codes_0_0_;
                    metal::half4 _e289 = half_4_(_e288, _e255);
                    stage(at_2 + 16u, is_there ? _e289 : metal::half4(0.0h), staged);
                    Block _e295 = codes_0_0_;
                    metal::half4 _e296 = half_5_(_e295, _e255);
                    stage(at_2 + 20u, is_there ? _e296 : metal::half4(0.0h), staged);
                    Block _e302 = codes_0_0_;
                    metal::half4 _e303 = half_6_(_e302, _e255);
                    stage(at_2 + 24u, is_there ? _e303 : metal::half4(0.0h), staged);
                    Block _e309 = codes_0_0_;
                    metal::half4 _e310 = half_7_(_e309, _e255);
                    stage(at_2 + 28u, is_there ? _e310 : metal::half4(0.0h), staged);
                }
                if ((block_5 + 8u) < end) {
                    Block _e321 = load_block(((tile_3 * blocks_2) + block_5) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_0_0_ = _e321;
                    RawScale _e327 = raw_scale(tile_3, block_5 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_0_0_0_ = _e327;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_ = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e334 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_, b_0_, _e334);
                    metal::simdgroup_half8x8 b_1_ = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e342 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_, b_1_, _e342);
                    metal::simdgroup_half8x8 b_2_ = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e350 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_, b_2_, _e350);
                    metal::simdgroup_half8x8 b_3_ = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e358 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_, b_3_, _e358);
                }
                {
                    metal::simdgroup_half8x8 b_0_1 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e366 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_, b_0_1, _e366);
                    metal::simdgroup_half8x8 b_1_1 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e374 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_, b_1_1, _e374);
                    metal::simdgroup_half8x8 b_2_1 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e382 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_, b_2_1, _e382);
                    metal::simdgroup_half8x8 b_3_1 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e390 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_, b_3_1, _e390);
                }
                {
                    metal::simdgroup_half8x8 b_0_2 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e398 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_, b_0_2, _e398);
                    metal::simdgroup_half8x8 b_1_2 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e406 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_, b_1_2, _e406);
                    metal::simdgroup_half8x8 b_2_2 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e414 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_, b_2_2, _e414);
                    metal::simdgroup_half8x8 b_3_2 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e422 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_, b_3_2, _e422);
                }
                {
                    metal::simdgroup_half8x8 b_0_3 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e430 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_, b_0_3, _e430);
                    metal::simdgroup_half8x8 b_1_3 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e438 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_, b_1_3, _e438);
                    metal::simdgroup_half8x8 b_2_3 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e446 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_, b_2_3, _e446);
                    metal::simdgroup_half8x8 b_3_3 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e454 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_, b_3_3, _e454);
                }
            }
            {
                uint _e456 = i_1;
                uint block_6 = (first + _e456) + 1u;
                uint _e462 = params.x_stride;
                uint x_stride_1 = naga_div(_e462, 1u);
                uint x_at_1 = (first_row * x_stride_1) + (metal::min(block_6, blocks_2 - 1u) * 32u);
                metal::simdgroup_half8x8 a_0_1 = NagaCooperativeLoad(&x[x_at_1 + 0u], x_stride_1, false);
                metal::simdgroup_half8x8 a_1_1 = NagaCooperativeLoad(&x[x_at_1 + 8u], x_stride_1, false);
                metal::simdgroup_half8x8 a_2_1 = NagaCooperativeLoad(&x[x_at_1 + 16u], x_stride_1, false);
                metal::simdgroup_half8x8 a_3_1 = NagaCooperativeLoad(&x[x_at_1 + 24u], x_stride_1, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_3 = here + ((lane + 0u) * 40u);
                    bool is_there_1 = block_6 < end;
                    RawScale _e498 = raw_1_0_0_;
                    float _e502 = params.global_scale;
                    metal::float2 _e503 = half_scale(_e498, block_6, 0u, _e502);
                    Block _e508 = codes_1_0_;
                    metal::half4 _e509 = half_0_(_e508, _e503);
                    stage(at_3 + 0u, is_there_1 ? _e509 : metal::half4(0.0h), staged);
                    Block _e515 = codes_1_0_;
                    metal::half4 _e516 = half_1_(_e515, _e503);
                    stage(at_3 + 4u, is_there_1 ? _e516 : metal::half4(0.0h), staged);
                    Block _e522 = codes_1_0_;
                    metal::half4 _e523 = half_2_(_e522, _e503);
                    stage(at_3 + 8u, is_there_1 ? _e523 : metal::half4(0.0h), staged);
                    Block _e529 = codes_1_0_;
                    metal::half4 _e530 = half_3_(_e529, _e503);
                    stage(at_3 + 12u, is_there_1 ? _e530 : metal::half4(0.0h), staged);
                    Block _e536 = codes_1_0_;
                    metal::half4 _e537 = half_4_(_e536, _e503);
                    stage(at_3 + 16u, is_there_1 ? _e537 : metal::half4(0.0h), staged);
                    Block _e543 = codes_1_0_;
                    metal::half4 _e544 = half_5_(_e543, _e503);
                    stage(at_3 + 20u, is_there_1 ? _e544 : metal::half4(0.0h), staged);
                    Block _e550 = codes_1_0_;
                    metal::half4 _e551 = half_6_(_e550, _e503);
                    stage(at_3 + 24u, is_there_1 ? _e551 : metal::half4(0.0h), staged);
                    Block _e557 = codes_1_0_;
                    metal::half4 _e558 = half_7_(_e557, _e503);
                    stage(at_3 + 28u, is_there_1 ? _e558 : metal::half4(0.0h), staged);
                }
                if ((block_6 + 8u) < end) {
                    Block _e569 = load_block(((tile_3 * blocks_2) + block_6) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_1_0_ = _e569;
                    RawScale _e575 = raw_scale(tile_3, block_6 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_1_0_0_ = _e575;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_4 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e582 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_1, b_0_4, _e582);
                    metal::simdgroup_half8x8 b_1_4 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e590 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_1, b_1_4, _e590);
                    metal::simdgroup_half8x8 b_2_4 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e598 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_1, b_2_4, _e598);
                    metal::simdgroup_half8x8 b_3_4 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e606 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_1, b_3_4, _e606);
                }
                {
                    metal::simdgroup_half8x8 b_0_5 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e614 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_1, b_0_5, _e614);
                    metal::simdgroup_half8x8 b_1_5 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e622 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_1, b_1_5, _e622);
                    metal::simdgroup_half8x8 b_2_5 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e630 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_1, b_2_5, _e630);
                    metal::simdgroup_half8x8 b_3_5 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e638 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_1, b_3_5, _e638);
                }
                {
                    metal::simdgroup_half8x8 b_0_6 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e646 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_1, b_0_6, _e646);
                    metal::simdgroup_half8x8 b_1_6 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e654 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_1, b_1_6, _e654);
                    metal::simdgroup_half8x8 b_2_6 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e662 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_1, b_2_6, _e662);
                    metal::simdgroup_half8x8 b_3_6 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e670 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_1, b_3_6, _e670);
                }
                {
                    metal::simdgroup_half8x8 b_0_7 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e678 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_1, b_0_7, _e678);
                    metal::simdgroup_half8x8 b_1_7 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e686 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_1, b_1_7, _e686);
                    metal::simdgroup_half8x8 b_2_7 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e694 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_1, b_2_7, _e694);
                    metal::simdgroup_half8x8 b_3_7 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e702 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_1, b_3_7, _e702);
                }
            }
            {
                uint _e704 = i_1;
                uint block_7 = (first + _e704) + 2u;
                uint _e710 = params.x_stride;
                uint x_stride_2 = naga_div(_e710, 1u);
                uint x_at_2 = (first_row * x_stride_2) + (metal::min(block_7, blocks_2 - 1u) * 32u);
                metal::simdgroup_half8x8 a_0_2 = NagaCooperativeLoad(&x[x_at_2 + 0u], x_stride_2, false);
                metal::simdgroup_half8x8 a_1_2 = NagaCooperativeLoad(&x[x_at_2 + 8u], x_stride_2, false);
                metal::simdgroup_half8x8 a_2_2 = NagaCooperativeLoad(&x[x_at_2 + 16u], x_stride_2, false);
                metal::simdgroup_half8x8 a_3_2 = NagaCooperativeLoad(&x[x_at_2 + 24u], x_stride_2, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_4 = here + ((lane + 0u) * 40u);
                    bool is_there_2 = block_7 < end;
                    RawScale _e746 = raw_2_0_0_;
                    float _e750 = params.global_scale;
                    metal::float2 _e751 = half_scale(_e746, block_7, 0u, _e750);
                    Block _e756 = codes_2_0_;
                    metal::half4 _e757 = half_0_(_e756, _e751);
                    stage(at_4 + 0u, is_there_2 ? _e757 : metal::half4(0.0h), staged);
                    Block _e763 = codes_2_0_;
                    metal::half4 _e764 = half_1_(_e763, _e751);
                    stage(at_4 + 4u, is_there_2 ? _e764 : metal::half4(0.0h), staged);
                    Block _e770 = codes_2_0_;
                    metal::half4 _e771 = half_2_(_e770, _e751);
                    stage(at_4 + 8u, is_there_2 ? _e771 : metal::half4(0.0h), staged);
                    Block _e777 = codes_2_0_;
                    metal::half4 _e778 = half_3_(_e777, _e751);
                    stage(at_4 + 12u, is_there_2 ? _e778 : metal::half4(0.0h), staged);
                    Block _e784 = codes_2_0_;
                    metal::half4 _e785 = half_4_(_e784, _e751);
                    stage(at_4 + 16u, is_there_2 ? _e785 : metal::half4(0.0h), staged);
                    Block _e791 = codes_2_0_;
                    metal::half4 _e792 = half_5_(_e791, _e751);
                    stage(at_4 + 20u, is_there_2 ? _e792 : metal::half4(0.0h), staged);
                    Block _e798 = codes_2_0_;
                    metal::half4 _e799 = half_6_(_e798, _e751);
                    stage(at_4 + 24u, is_there_2 ? _e799 : metal::half4(0.0h), staged);
                    Block _e805 = codes_2_0_;
                    metal::half4 _e806 = half_7_(_e805, _e751);
                    stage(at_4 + 28u, is_there_2 ? _e806 : metal::half4(0.0h), staged);
                }
                if ((block_7 + 8u) < end) {
                    Block _e817 = load_block(((tile_3 * blocks_2) + block_7) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_2_0_ = _e817;
                    RawScale _e823 = raw_scale(tile_3, block_7 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_2_0_0_ = _e823;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_8 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e830 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_2, b_0_8, _e830);
                    metal::simdgroup_half8x8 b_1_8 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e838 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_2, b_1_8, _e838);
                    metal::simdgroup_half8x8 b_2_8 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e846 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_2, b_2_8, _e846);
                    metal::simdgroup_half8x8 b_3_8 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e854 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_2, b_3_8, _e854);
                }
                {
                    metal::simdgroup_half8x8 b_0_9 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e862 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_2, b_0_9, _e862);
                    metal::simdgroup_half8x8 b_1_9 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e870 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_2, b_1_9, _e870);
                    metal::simdgroup_half8x8 b_2_9 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e878 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_2, b_2_9, _e878);
                    metal::simdgroup_half8x8 b_3_9 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e886 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_2, b_3_9, _e886);
                }
                {
                    metal::simdgroup_half8x8 b_0_10 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e894 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_2, b_0_10, _e894);
                    metal::simdgroup_half8x8 b_1_10 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e902 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_2, b_1_10, _e902);
                    metal::simdgroup_half8x8 b_2_10 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e910 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_2, b_2_10, _e910);
                    metal::simdgroup_half8x8 b_3_10 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e918 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_2, b_3_10, _e918);
                }
                {
                    metal::simdgroup_half8x8 b_0_11 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e926 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_2, b_0_11, _e926);
                    metal::simdgroup_half8x8 b_1_11 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e934 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_2, b_1_11, _e934);
                    metal::simdgroup_half8x8 b_2_11 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e942 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_2, b_2_11, _e942);
                    metal::simdgroup_half8x8 b_3_11 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e950 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_2, b_3_11, _e950);
                }
            }
            {
                uint _e952 = i_1;
                uint block_8 = (first + _e952) + 3u;
                uint _e958 = params.x_stride;
                uint x_stride_3 = naga_div(_e958, 1u);
                uint x_at_3 = (first_row * x_stride_3) + (metal::min(block_8, blocks_2 - 1u) * 32u);
                metal::simdgroup_half8x8 a_0_3 = NagaCooperativeLoad(&x[x_at_3 + 0u], x_stride_3, false);
                metal::simdgroup_half8x8 a_1_3 = NagaCooperativeLoad(&x[x_at_3 + 8u], x_stride_3, false);
                metal::simdgroup_half8x8 a_2_3 = NagaCooperativeLoad(&x[x_at_3 + 16u], x_stride_3, false);
                metal::simdgroup_half8x8 a_3_3 = NagaCooperativeLoad(&x[x_at_3 + 24u], x_stride_3, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_5 = here + ((lane + 0u) * 40u);
                    bool is_there_3 = block_8 < end;
                    RawScale _e994 = raw_3_0_0_;
                    float _e998 = params.global_scale;
                    metal::float2 _e999 = half_scale(_e994, block_8, 0u, _e998);
                    Block _e1004 = codes_3_0_;
                    metal::half4 _e1005 = half_0_(_e1004, _e999);
                    stage(at_5 + 0u, is_there_3 ? _e1005 : metal::half4(0.0h), staged);
                    Block _e1011 = codes_3_0_;
                    metal::half4 _e1012 = half_1_(_e1011, _e999);
                    stage(at_5 + 4u, is_there_3 ? _e1012 : metal::half4(0.0h), staged);
                    Block _e1018 = codes_3_0_;
                    metal::half4 _e1019 = half_2_(_e1018, _e999);
                    stage(at_5 + 8u, is_there_3 ? _e1019 : metal::half4(0.0h), staged);
                    Block _e1025 = codes_3_0_;
                    metal::half4 _e1026 = half_3_(_e1025, _e999);
                    stage(at_5 + 12u, is_there_3 ? _e1026 : metal::half4(0.0h), staged);
                    Block _e1032 = codes_3_0_;
                    metal::half4 _e1033 = half_4_(_e1032, _e999);
                    stage(at_5 + 16u, is_there_3 ? _e1033 : metal::half4(0.0h), staged);
                    Block _e1039 = codes_3_0_;
                    metal::half4 _e1040 = half_5_(_e1039, _e999);
                    stage(at_5 + 20u, is_there_3 ? _e1040 : metal::half4(0.0h), staged);
                    Block _e1046 = codes_3_0_;
                    metal::half4 _e1047 = half_6_(_e1046, _e999);
                    stage(at_5 + 24u, is_there_3 ? _e1047 : metal::half4(0.0h), staged);
                    Block _e1053 = codes_3_0_;
                    metal::half4 _e1054 = half_7_(_e1053, _e999);
                    stage(at_5 + 28u, is_there_3 ? _e1054 : metal::half4(0.0h), staged);
                }
                if ((block_8 + 8u) < end) {
                    Block _e1065 = load_block(((tile_3 * blocks_2) + block_8) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_3_0_ = _e1065;
                    RawScale _e1071 = raw_scale(tile_3, block_8 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_3_0_0_ = _e1071;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_12 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e1078 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_3, b_0_12, _e1078);
                    metal::simdgroup_half8x8 b_1_12 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e1086 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_3, b_1_12, _e1086);
                    metal::simdgroup_half8x8 b_2_12 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e1094 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_3, b_2_12, _e1094);
                    metal::simdgroup_half8x8 b_3_12 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e1102 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_3, b_3_12, _e1102);
                }
                {
                    metal::simdgroup_half8x8 b_0_13 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e1110 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_3, b_0_13, _e1110);
                    metal::simdgroup_half8x8 b_1_13 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e1118 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_3, b_1_13, _e1118);
                    metal::simdgroup_half8x8 b_2_13 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e1126 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_3, b_2_13, _e1126);
                    metal::simdgroup_half8x8 b_3_13 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e1134 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_3, b_3_13, _e1134);
                }
                {
                    metal::simdgroup_half8x8 b_0_14 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e1142 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_3, b_0_14, _e1142);
                    metal::simdgroup_half8x8 b_1_14 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e1150 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_3, b_1_14, _e1150);
                    metal::simdgroup_half8x8 b_2_14 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e1158 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_3, b_2_14, _e1158);
                    metal::simdgroup_half8x8 b_3_14 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e1166 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_3, b_3_14, _e1166);
                }
                {
                    metal::simdgroup_half8x8 b_0_15 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e1174 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_3, b_0_15, _e1174);
                    metal::simdgroup_half8x8 b_1_15 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e1182 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_3, b_1_15, _e1182);
                    metal::simdgroup_half8x8 b_2_15 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e1190 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_3, b_2_15, _e1190);
                    metal::simdgroup_half8x8 b_3_15 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e1198 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_3, b_3_15, _e1198);
                }
            }
            {
                uint _e1200 = i_1;
                uint block_9 = (first + _e1200) + 4u;
                uint _e1206 = params.x_stride;
                uint x_stride_4 = naga_div(_e1206, 1u);
                uint x_at_4 = (first_row * x_stride_4) + (metal::min(block_9, blocks_2 - 1u) * 32u);
                metal::simdgroup_half8x8 a_0_4 = NagaCooperativeLoad(&x[x_at_4 + 0u], x_stride_4, false);
                metal::simdgroup_half8x8 a_1_4 = NagaCooperativeLoad(&x[x_at_4 + 8u], x_stride_4, false);
                metal::simdgroup_half8x8 a_2_4 = NagaCooperativeLoad(&x[x_at_4 + 16u], x_stride_4, false);
                metal::simdgroup_half8x8 a_3_4 = NagaCooperativeLoad(&x[x_at_4 + 24u], x_stride_4, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_6 = here + ((lane + 0u) * 40u);
                    bool is_there_4 = block_9 < end;
                    RawScale _e1242 = raw_4_0_0_;
                    float _e1246 = params.global_scale;
                    metal::float2 _e1247 = half_scale(_e1242, block_9, 0u, _e1246);
                    Block _e1252 = codes_4_0_;
                    metal::half4 _e1253 = half_0_(_e1252, _e1247);
                    stage(at_6 + 0u, is_there_4 ? _e1253 : metal::half4(0.0h), staged);
                    Block _e1259 = codes_4_0_;
                    metal::half4 _e1260 = half_1_(_e1259, _e1247);
                    stage(at_6 + 4u, is_there_4 ? _e1260 : metal::half4(0.0h), staged);
                    Block _e1266 = codes_4_0_;
                    metal::half4 _e1267 = half_2_(_e1266, _e1247);
                    stage(at_6 + 8u, is_there_4 ? _e1267 : metal::half4(0.0h), staged);
                    Block _e1273 = codes_4_0_;
                    metal::half4 _e1274 = half_3_(_e1273, _e1247);
                    stage(at_6 + 12u, is_there_4 ? _e1274 : metal::half4(0.0h), staged);
                    Block _e1280 = codes_4_0_;
                    metal::half4 _e1281 = half_4_(_e1280, _e1247);
                    stage(at_6 + 16u, is_there_4 ? _e1281 : metal::half4(0.0h), staged);
                    Block _e1287 = codes_4_0_;
                    metal::half4 _e1288 = half_5_(_e1287, _e1247);
                    stage(at_6 + 20u, is_there_4 ? _e1288 : metal::half4(0.0h), staged);
                    Block _e1294 = codes_4_0_;
                    metal::half4 _e1295 = half_6_(_e1294, _e1247);
                    stage(at_6 + 24u, is_there_4 ? _e1295 : metal::half4(0.0h), staged);
                    Block _e1301 = codes_4_0_;
                    metal::half4 _e1302 = half_7_(_e1301, _e1247);
                    stage(at_6 + 28u, is_there_4 ? _e1302 : metal::half4(0.0h), staged);
                }
                if ((block_9 + 8u) < end) {
                    Block _e1313 = load_block(((tile_3 * blocks_2) + block_9) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_4_0_ = _e1313;
                    RawScale _e1319 = raw_scale(tile_3, block_9 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_4_0_0_ = _e1319;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_16 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e1326 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_4, b_0_16, _e1326);
                    metal::simdgroup_half8x8 b_1_16 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e1334 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_4, b_1_16, _e1334);
                    metal::simdgroup_half8x8 b_2_16 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e1342 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_4, b_2_16, _e1342);
                    metal::simdgroup_half8x8 b_3_16 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e1350 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_4, b_3_16, _e1350);
                }
                {
                    metal::simdgroup_half8x8 b_0_17 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e1358 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_4, b_0_17, _e1358);
                    metal::simdgroup_half8x8 b_1_17 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e1366 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_4, b_1_17, _e1366);
                    metal::simdgroup_half8x8 b_2_17 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e1374 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_4, b_2_17, _e1374);
                    metal::simdgroup_half8x8 b_3_17 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e1382 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_4, b_3_17, _e1382);
                }
                {
                    metal::simdgroup_half8x8 b_0_18 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e1390 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_4, b_0_18, _e1390);
                    metal::simdgroup_half8x8 b_1_18 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e1398 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_4, b_1_18, _e1398);
                    metal::simdgroup_half8x8 b_2_18 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e1406 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_4, b_2_18, _e1406);
                    metal::simdgroup_half8x8 b_3_18 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e1414 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_4, b_3_18, _e1414);
                }
                {
                    metal::simdgroup_half8x8 b_0_19 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e1422 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_4, b_0_19, _e1422);
                    metal::simdgroup_half8x8 b_1_19 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e1430 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_4, b_1_19, _e1430);
                    metal::simdgroup_half8x8 b_2_19 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e1438 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_4, b_2_19, _e1438);
                    metal::simdgroup_half8x8 b_3_19 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e1446 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_4, b_3_19, _e1446);
                }
            }
            {
                uint _e1448 = i_1;
                uint block_10 = (first + _e1448) + 5u;
                uint _e1454 = params.x_stride;
                uint x_stride_5 = naga_div(_e1454, 1u);
                uint x_at_5 = (first_row * x_stride_5) + (metal::min(block_10, blocks_2 - 1u) * 32u);
                metal::simdgroup_half8x8 a_0_5 = NagaCooperativeLoad(&x[x_at_5 + 0u], x_stride_5, false);
                metal::simdgroup_half8x8 a_1_5 = NagaCooperativeLoad(&x[x_at_5 + 8u], x_stride_5, false);
                metal::simdgroup_half8x8 a_2_5 = NagaCooperativeLoad(&x[x_at_5 + 16u], x_stride_5, false);
                metal::simdgroup_half8x8 a_3_5 = NagaCooperativeLoad(&x[x_at_5 + 24u], x_stride_5, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_7 = here + ((lane + 0u) * 40u);
                    bool is_there_5 = block_10 < end;
                    RawScale _e1490 = raw_5_0_0_;
                    float _e1494 = params.global_scale;
                    metal::float2 _e1495 = half_scale(_e1490, block_10, 0u, _e1494);
                    Block _e1500 = codes_5_0_;
                    metal::half4 _e1501 = half_0_(_e1500, _e1495);
                    stage(at_7 + 0u, is_there_5 ? _e1501 : metal::half4(0.0h), staged);
                    Block _e1507 = codes_5_0_;
                    metal::half4 _e1508 = half_1_(_e1507, _e1495);
                    stage(at_7 + 4u, is_there_5 ? _e1508 : metal::half4(0.0h), staged);
                    Block _e1514 = codes_5_0_;
                    metal::half4 _e1515 = half_2_(_e1514, _e1495);
                    stage(at_7 + 8u, is_there_5 ? _e1515 : metal::half4(0.0h), staged);
                    Block _e1521 = codes_5_0_;
                    metal::half4 _e1522 = half_3_(_e1521, _e1495);
                    stage(at_7 + 12u, is_there_5 ? _e1522 : metal::half4(0.0h), staged);
                    Block _e1528 = codes_5_0_;
                    metal::half4 _e1529 = half_4_(_e1528, _e1495);
                    stage(at_7 + 16u, is_there_5 ? _e1529 : metal::half4(0.0h), staged);
                    Block _e1535 = codes_5_0_;
                    metal::half4 _e1536 = half_5_(_e1535, _e1495);
                    stage(at_7 + 20u, is_there_5 ? _e1536 : metal::half4(0.0h), staged);
                    Block _e1542 = codes_5_0_;
                    metal::half4 _e1543 = half_6_(_e1542, _e1495);
                    stage(at_7 + 24u, is_there_5 ? _e1543 : metal::half4(0.0h), staged);
                    Block _e1549 = codes_5_0_;
                    metal::half4 _e1550 = half_7_(_e1549, _e1495);
                    stage(at_7 + 28u, is_there_5 ? _e1550 : metal::half4(0.0h), staged);
                }
                if ((block_10 + 8u) < end) {
                    Block _e1561 = load_block(((tile_3 * blocks_2) + block_10) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_5_0_ = _e1561;
                    RawScale _e1567 = raw_scale(tile_3, block_10 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_5_0_0_ = _e1567;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_20 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e1574 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_5, b_0_20, _e1574);
                    metal::simdgroup_half8x8 b_1_20 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e1582 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_5, b_1_20, _e1582);
                    metal::simdgroup_half8x8 b_2_20 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e1590 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_5, b_2_20, _e1590);
                    metal::simdgroup_half8x8 b_3_20 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e1598 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_5, b_3_20, _e1598);
                }
                {
                    metal::simdgroup_half8x8 b_0_21 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e1606 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_5, b_0_21, _e1606);
                    metal::simdgroup_half8x8 b_1_21 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e1614 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_5, b_1_21, _e1614);
                    metal::simdgroup_half8x8 b_2_21 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e1622 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_5, b_2_21, _e1622);
                    metal::simdgroup_half8x8 b_3_21 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e1630 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_5, b_3_21, _e1630);
                }
                {
                    metal::simdgroup_half8x8 b_0_22 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e1638 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_5, b_0_22, _e1638);
                    metal::simdgroup_half8x8 b_1_22 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e1646 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_5, b_1_22, _e1646);
                    metal::simdgroup_half8x8 b_2_22 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e1654 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_5, b_2_22, _e1654);
                    metal::simdgroup_half8x8 b_3_22 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e1662 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_5, b_3_22, _e1662);
                }
                {
                    metal::simdgroup_half8x8 b_0_23 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e1670 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_5, b_0_23, _e1670);
                    metal::simdgroup_half8x8 b_1_23 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e1678 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_5, b_1_23, _e1678);
                    metal::simdgroup_half8x8 b_2_23 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e1686 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_5, b_2_23, _e1686);
                    metal::simdgroup_half8x8 b_3_23 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e1694 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_5, b_3_23, _e1694);
                }
            }
            {
                uint _e1696 = i_1;
                uint block_11 = (first + _e1696) + 6u;
                uint _e1702 = params.x_stride;
                uint x_stride_6 = naga_div(_e1702, 1u);
                uint x_at_6 = (first_row * x_stride_6) + (metal::min(block_11, blocks_2 - 1u) * 32u);
                metal::simdgroup_half8x8 a_0_6 = NagaCooperativeLoad(&x[x_at_6 + 0u], x_stride_6, false);
                metal::simdgroup_half8x8 a_1_6 = NagaCooperativeLoad(&x[x_at_6 + 8u], x_stride_6, false);
                metal::simdgroup_half8x8 a_2_6 = NagaCooperativeLoad(&x[x_at_6 + 16u], x_stride_6, false);
                metal::simdgroup_half8x8 a_3_6 = NagaCooperativeLoad(&x[x_at_6 + 24u], x_stride_6, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_8 = here + ((lane + 0u) * 40u);
                    bool is_there_6 = block_11 < end;
                    RawScale _e1738 = raw_6_0_0_;
                    float _e1742 = params.global_scale;
                    metal::float2 _e1743 = half_scale(_e1738, block_11, 0u, _e1742);
                    Block _e1748 = codes_6_0_;
                    metal::half4 _e1749 = half_0_(_e1748, _e1743);
                    stage(at_8 + 0u, is_there_6 ? _e1749 : metal::half4(0.0h), staged);
                    Block _e1755 = codes_6_0_;
                    metal::half4 _e1756 = half_1_(_e1755, _e1743);
                    stage(at_8 + 4u, is_there_6 ? _e1756 : metal::half4(0.0h), staged);
                    Block _e1762 = codes_6_0_;
                    metal::half4 _e1763 = half_2_(_e1762, _e1743);
                    stage(at_8 + 8u, is_there_6 ? _e1763 : metal::half4(0.0h), staged);
                    Block _e1769 = codes_6_0_;
                    metal::half4 _e1770 = half_3_(_e1769, _e1743);
                    stage(at_8 + 12u, is_there_6 ? _e1770 : metal::half4(0.0h), staged);
                    Block _e1776 = codes_6_0_;
                    metal::half4 _e1777 = half_4_(_e1776, _e1743);
                    stage(at_8 + 16u, is_there_6 ? _e1777 : metal::half4(0.0h), staged);
                    Block _e1783 = codes_6_0_;
                    metal::half4 _e1784 = half_5_(_e1783, _e1743);
                    stage(at_8 + 20u, is_there_6 ? _e1784 : metal::half4(0.0h), staged);
                    Block _e1790 = codes_6_0_;
                    metal::half4 _e1791 = half_6_(_e1790, _e1743);
                    stage(at_8 + 24u, is_there_6 ? _e1791 : metal::half4(0.0h), staged);
                    Block _e1797 = codes_6_0_;
                    metal::half4 _e1798 = half_7_(_e1797, _e1743);
                    stage(at_8 + 28u, is_there_6 ? _e1798 : metal::half4(0.0h), staged);
                }
                if ((block_11 + 8u) < end) {
                    Block _e1809 = load_block(((tile_3 * blocks_2) + block_11) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_6_0_ = _e1809;
                    RawScale _e1815 = raw_scale(tile_3, block_11 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_6_0_0_ = _e1815;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_24 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e1822 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_6, b_0_24, _e1822);
                    metal::simdgroup_half8x8 b_1_24 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e1830 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_6, b_1_24, _e1830);
                    metal::simdgroup_half8x8 b_2_24 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e1838 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_6, b_2_24, _e1838);
                    metal::simdgroup_half8x8 b_3_24 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e1846 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_6, b_3_24, _e1846);
                }
                {
                    metal::simdgroup_half8x8 b_0_25 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e1854 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_6, b_0_25, _e1854);
                    metal::simdgroup_half8x8 b_1_25 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e1862 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_6, b_1_25, _e1862);
                    metal::simdgroup_half8x8 b_2_25 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e1870 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_6, b_2_25, _e1870);
                    metal::simdgroup_half8x8 b_3_25 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e1878 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_6, b_3_25, _e1878);
                }
                {
                    metal::simdgroup_half8x8 b_0_26 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e1886 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_6, b_0_26, _e1886);
                    metal::simdgroup_half8x8 b_1_26 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e1894 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_6, b_1_26, _e1894);
                    metal::simdgroup_half8x8 b_2_26 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e1902 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_6, b_2_26, _e1902);
                    metal::simdgroup_half8x8 b_3_26 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e1910 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_6, b_3_26, _e1910);
                }
                {
                    metal::simdgroup_half8x8 b_0_27 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e1918 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_6, b_0_27, _e1918);
                    metal::simdgroup_half8x8 b_1_27 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e1926 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_6, b_1_27, _e1926);
                    metal::simdgroup_half8x8 b_2_27 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e1934 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_6, b_2_27, _e1934);
                    metal::simdgroup_half8x8 b_3_27 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e1942 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_6, b_3_27, _e1942);
                }
            }
            {
                uint _e1944 = i_1;
                uint block_12 = (first + _e1944) + 7u;
                uint _e1950 = params.x_stride;
                uint x_stride_7 = naga_div(_e1950, 1u);
                uint x_at_7 = (first_row * x_stride_7) + (metal::min(block_12, blocks_2 - 1u) * 32u);
                metal::simdgroup_half8x8 a_0_7 = NagaCooperativeLoad(&x[x_at_7 + 0u], x_stride_7, false);
                metal::simdgroup_half8x8 a_1_7 = NagaCooperativeLoad(&x[x_at_7 + 8u], x_stride_7, false);
                metal::simdgroup_half8x8 a_2_7 = NagaCooperativeLoad(&x[x_at_7 + 16u], x_stride_7, false);
                metal::simdgroup_half8x8 a_3_7 = NagaCooperativeLoad(&x[x_at_7 + 24u], x_stride_7, false);
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    uint at_9 = here + ((lane + 0u) * 40u);
                    bool is_there_7 = block_12 < end;
                    RawScale _e1986 = raw_7_0_0_;
                    float _e1990 = params.global_scale;
                    metal::float2 _e1991 = half_scale(_e1986, block_12, 0u, _e1990);
                    Block _e1996 = codes_7_0_;
                    metal::half4 _e1997 = half_0_(_e1996, _e1991);
                    stage(at_9 + 0u, is_there_7 ? _e1997 : metal::half4(0.0h), staged);
                    Block _e2003 = codes_7_0_;
                    metal::half4 _e2004 = half_1_(_e2003, _e1991);
                    stage(at_9 + 4u, is_there_7 ? _e2004 : metal::half4(0.0h), staged);
                    Block _e2010 = codes_7_0_;
                    metal::half4 _e2011 = half_2_(_e2010, _e1991);
                    stage(at_9 + 8u, is_there_7 ? _e2011 : metal::half4(0.0h), staged);
                    Block _e2017 = codes_7_0_;
                    metal::half4 _e2018 = half_3_(_e2017, _e1991);
                    stage(at_9 + 12u, is_there_7 ? _e2018 : metal::half4(0.0h), staged);
                    Block _e2024 = codes_7_0_;
                    metal::half4 _e2025 = half_4_(_e2024, _e1991);
                    stage(at_9 + 16u, is_there_7 ? _e2025 : metal::half4(0.0h), staged);
                    Block _e2031 = codes_7_0_;
                    metal::half4 _e2032 = half_5_(_e2031, _e1991);
                    stage(at_9 + 20u, is_there_7 ? _e2032 : metal::half4(0.0h), staged);
                    Block _e2038 = codes_7_0_;
                    metal::half4 _e2039 = half_6_(_e2038, _e1991);
                    stage(at_9 + 24u, is_there_7 ? _e2039 : metal::half4(0.0h), staged);
                    Block _e2045 = codes_7_0_;
                    metal::half4 _e2046 = half_7_(_e2045, _e1991);
                    stage(at_9 + 28u, is_there_7 ? _e2046 : metal::half4(0.0h), staged);
                }
                if ((block_12 + 8u) < end) {
                    Block _e2057 = load_block(((tile_3 * blocks_2) + block_12) + 8u, lane + 0u, weight_codes, _buffer_sizes);
                    codes_7_0_ = _e2057;
                    RawScale _e2063 = raw_scale(tile_3, block_12 + 8u, blocks_2, 0u, lane + 0u, weight_scales, _buffer_sizes);
                    raw_7_0_0_ = _e2063;
                }
                metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                {
                    metal::simdgroup_half8x8 b_0_28 = NagaCooperativeLoad(&staged.inner[here + 0u], 40u, true);
                    metal::simdgroup_float8x8 _e2070 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_7, b_0_28, _e2070);
                    metal::simdgroup_half8x8 b_1_28 = NagaCooperativeLoad(&staged.inner[here + 320u], 40u, true);
                    metal::simdgroup_float8x8 _e2078 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_7, b_1_28, _e2078);
                    metal::simdgroup_half8x8 b_2_28 = NagaCooperativeLoad(&staged.inner[here + 640u], 40u, true);
                    metal::simdgroup_float8x8 _e2086 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_0_7, b_2_28, _e2086);
                    metal::simdgroup_half8x8 b_3_28 = NagaCooperativeLoad(&staged.inner[here + 960u], 40u, true);
                    metal::simdgroup_float8x8 _e2094 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_0_7, b_3_28, _e2094);
                }
                {
                    metal::simdgroup_half8x8 b_0_29 = NagaCooperativeLoad(&staged.inner[here + 8u], 40u, true);
                    metal::simdgroup_float8x8 _e2102 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_1_7, b_0_29, _e2102);
                    metal::simdgroup_half8x8 b_1_29 = NagaCooperativeLoad(&staged.inner[here + 328u], 40u, true);
                    metal::simdgroup_float8x8 _e2110 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_1_7, b_1_29, _e2110);
                    metal::simdgroup_half8x8 b_2_29 = NagaCooperativeLoad(&staged.inner[here + 648u], 40u, true);
                    metal::simdgroup_float8x8 _e2118 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_1_7, b_2_29, _e2118);
                    metal::simdgroup_half8x8 b_3_29 = NagaCooperativeLoad(&staged.inner[here + 968u], 40u, true);
                    metal::simdgroup_float8x8 _e2126 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_1_7, b_3_29, _e2126);
                }
                {
                    metal::simdgroup_half8x8 b_0_30 = NagaCooperativeLoad(&staged.inner[here + 16u], 40u, true);
                    metal::simdgroup_float8x8 _e2134 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_2_7, b_0_30, _e2134);
                    metal::simdgroup_half8x8 b_1_30 = NagaCooperativeLoad(&staged.inner[here + 336u], 40u, true);
                    metal::simdgroup_float8x8 _e2142 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_2_7, b_1_30, _e2142);
                    metal::simdgroup_half8x8 b_2_30 = NagaCooperativeLoad(&staged.inner[here + 656u], 40u, true);
                    metal::simdgroup_float8x8 _e2150 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_2_7, b_2_30, _e2150);
                    metal::simdgroup_half8x8 b_3_30 = NagaCooperativeLoad(&staged.inner[here + 976u], 40u, true);
                    metal::simdgroup_float8x8 _e2158 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_2_7, b_3_30, _e2158);
                }
                {
                    metal::simdgroup_half8x8 b_0_31 = NagaCooperativeLoad(&staged.inner[here + 24u], 40u, true);
                    metal::simdgroup_float8x8 _e2166 = sum_0_0_;
                    sum_0_0_ = NagaCooperativeMultiplyAdd(a_3_7, b_0_31, _e2166);
                    metal::simdgroup_half8x8 b_1_31 = NagaCooperativeLoad(&staged.inner[here + 344u], 40u, true);
                    metal::simdgroup_float8x8 _e2174 = sum_0_1_;
                    sum_0_1_ = NagaCooperativeMultiplyAdd(a_3_7, b_1_31, _e2174);
                    metal::simdgroup_half8x8 b_2_31 = NagaCooperativeLoad(&staged.inner[here + 664u], 40u, true);
                    metal::simdgroup_float8x8 _e2182 = sum_0_2_;
                    sum_0_2_ = NagaCooperativeMultiplyAdd(a_3_7, b_2_31, _e2182);
                    metal::simdgroup_half8x8 b_3_31 = NagaCooperativeLoad(&staged.inner[here + 984u], 40u, true);
                    metal::simdgroup_float8x8 _e2190 = sum_0_3_;
                    sum_0_3_ = NagaCooperativeMultiplyAdd(a_3_7, b_3_31, _e2190);
                }
            }
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    round = naga_div(part, 4u);
    uint2 loop_bound_2 = uint2(4294967295u);
    bool loop_init_2 = true;
    while(true) {
        if (metal::all(loop_bound_2 == uint2(0u))) { break; }
        loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
        if (!loop_init_2) {
            round = 8u;
        }
        loop_init_2 = false;
        uint _e2200 = round;
        if (_e2200 == 0u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e2203 = sum_0_0_;
            simdgroup_store(_e2203, &sums.inner[(((naga_mod(part, 4u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e2217 = sum_0_1_;
            simdgroup_store(_e2217, &sums.inner[(((naga_mod(part, 4u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e2231 = sum_0_2_;
            simdgroup_store(_e2231, &sums.inner[(((naga_mod(part, 4u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e2245 = sum_0_3_;
            simdgroup_store(_e2245, &sums.inner[(((naga_mod(part, 4u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e2260 = total_0_;
    float _e2265 = sums.inner[0u + thread_];
    total_0_ = _e2260 + _e2265;
    float _e2267 = total_0_;
    float _e2272 = sums.inner[256u + thread_];
    total_0_ = _e2267 + _e2272;
    float _e2274 = total_0_;
    float _e2279 = sums.inner[512u + thread_];
    total_0_ = _e2274 + _e2279;
    float _e2281 = total_0_;
    float _e2286 = sums.inner[768u + thread_];
    total_0_ = _e2281 + _e2286;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    round_1 = naga_div(part, 4u);
    uint2 loop_bound_3 = uint2(4294967295u);
    bool loop_init_3 = true;
    while(true) {
        if (metal::all(loop_bound_3 == uint2(0u))) { break; }
        loop_bound_3 -= uint2(loop_bound_3.y == 0u, 1u);
        if (!loop_init_3) {
            round_1 = 8u;
        }
        loop_init_3 = false;
        uint _e2291 = round_1;
        if (_e2291 == 1u) {
        } else {
            break;
        }
        {
            metal::simdgroup_float8x8 _e2294 = sum_0_0_;
            simdgroup_store(_e2294, &sums.inner[(((naga_mod(part, 4u) * 8u) + 0u) * 32u) + 0u], 32u);
            metal::simdgroup_float8x8 _e2308 = sum_0_1_;
            simdgroup_store(_e2308, &sums.inner[(((naga_mod(part, 4u) * 8u) + 0u) * 32u) + 8u], 32u);
            metal::simdgroup_float8x8 _e2322 = sum_0_2_;
            simdgroup_store(_e2322, &sums.inner[(((naga_mod(part, 4u) * 8u) + 0u) * 32u) + 16u], 32u);
            metal::simdgroup_float8x8 _e2336 = sum_0_3_;
            simdgroup_store(_e2336, &sums.inner[(((naga_mod(part, 4u) * 8u) + 0u) * 32u) + 24u], 32u);
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e2351 = total_0_;
    float _e2356 = sums.inner[0u + thread_];
    total_0_ = _e2351 + _e2356;
    float _e2358 = total_0_;
    float _e2363 = sums.inner[256u + thread_];
    total_0_ = _e2358 + _e2363;
    float _e2365 = total_0_;
    float _e2370 = sums.inner[512u + thread_];
    total_0_ = _e2365 + _e2370;
    float _e2372 = total_0_;
    float _e2377 = sums.inner[768u + thread_];
    total_0_ = _e2372 + _e2377;
    {
        uint row_1 = first_row + naga_div(thread_ + 0u, 32u);
        float _e2391 = total_0_;
        float _e2394 = factors[row_1];
        store(row_1, (tile_3 * 32u) + naga_mod(thread_ + 0u, 32u), (_e2391 * _e2394) * 0.015625, out, params, _buffer_sizes);
        return;
    }
}

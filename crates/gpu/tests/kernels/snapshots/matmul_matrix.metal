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
typedef metal::half4 type_4[1];
typedef float type_5[1];
typedef metal::uint2 type_7[1];
typedef uint type_8[1];
struct Block {
    metal::uint2 p0_;
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
    float inner[512];
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
constant uint SUB_ROWS = 2u;
constant uint SUB_COLUMNS = 4u;
constant uint ROW_TILES = 4u;
constant uint COLUMN_TILES = 2u;
constant metal::float4 PRESCALE = metal::float4(1.0, 0.25, 0.0625, 0.015625);
constant metal::float4 UNSCALE = metal::float4(1.0, 4.0, 16.0, 64.0);

Block load_block(
    uint block_1,
    uint lane_1,
    device type_7 const& weight_codes,
    constant _mslBufferSizes& _buffer_sizes
) {
    Block b = {};
    metal::uint2 _e13 = weight_codes[(((block_1 * 1u) + 0u) * 32u) + lane_1];
    b.p0_ = _e13;
    Block _e14 = b;
    return _e14;
}

metal::float4 unpack_0_(
    Block b_1
) {
    return static_cast<metal::float4>(metal::uint4(b_1.p0_.x >> 0u) & metal::uint4(3u, 12u, 48u, 192u));
}

metal::float4 unpack_1_(
    Block b_2
) {
    return static_cast<metal::float4>(metal::uint4(b_2.p0_.x >> 8u) & metal::uint4(3u, 12u, 48u, 192u));
}

metal::float4 unpack_2_(
    Block b_3
) {
    return static_cast<metal::float4>(metal::uint4(b_3.p0_.x >> 16u) & metal::uint4(3u, 12u, 48u, 192u));
}

metal::float4 unpack_3_(
    Block b_4
) {
    return static_cast<metal::float4>(metal::uint4(b_4.p0_.x >> 24u) & metal::uint4(3u, 12u, 48u, 192u));
}

metal::float4 unpack_4_(
    Block b_5
) {
    return static_cast<metal::float4>(metal::uint4(b_5.p0_.y >> 0u) & metal::uint4(3u, 12u, 48u, 192u));
}

metal::float4 unpack_5_(
    Block b_6
) {
    return static_cast<metal::float4>(metal::uint4(b_6.p0_.y >> 8u) & metal::uint4(3u, 12u, 48u, 192u));
}

metal::float4 unpack_6_(
    Block b_7
) {
    return static_cast<metal::float4>(metal::uint4(b_7.p0_.y >> 16u) & metal::uint4(3u, 12u, 48u, 192u));
}

metal::float4 unpack_7_(
    Block b_8
) {
    return static_cast<metal::float4>(metal::uint4(b_8.p0_.y >> 24u) & metal::uint4(3u, 12u, 48u, 192u));
}

metal::float2 scale_offset(
    uint tile,
    uint group_1,
    uint groups,
    uint lane_2,
    float global,
    device type_8 const& weight_scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint w = weight_scales[(((tile * groups) + group_1) * 32u) + lane_2];
    return metal::float2(as_type<float>(w << 16u), as_type<float>(w & 4294901760u));
}

uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}

metal::float2 half_scale(
    uint tile_1,
    uint block_2,
    uint blocks,
    uint half_,
    uint lane_3,
    float global_1,
    device type_8 const& weight_scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    metal::float2 _e14 = scale_offset(tile_1, naga_div(block_2 * 32u, 32u), naga_div(blocks * 32u, 32u), lane_3, global_1, weight_scales, _buffer_sizes);
    return 64.0 * _e14;
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
    device type_5& out,
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
, device type_4 const& x [[user(fake0)]]
, device type_5 const& factors [[user(fake0)]]
, device type_7 const& weight_codes [[user(fake0)]]
, device type_8 const& weight_scales [[user(fake0)]]
, device type_5& out [[user(fake0)]]
, constant Params& params [[user(fake0)]]
, threadgroup type_13& staged
, threadgroup type_14& zeros
, threadgroup type_15& results
, constant _mslBufferSizes& _buffer_sizes [[user(fake0)]]
) {
    if (thread_ == 0u) {
        staged = {};
        zeros = {};
        results = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    Block codes_0_ = {};
    metal::float2 so_0_0_ = {};
    metal::half4 x_0_ = {};
    metal::half4 x_1_ = {};
    uint i = {};
    float total_0_0_0_ = 0.0;
    float total_0_0_1_ = 0.0;
    float total_0_1_0_ = 0.0;
    float total_0_1_1_ = 0.0;
    float total_1_0_0_ = 0.0;
    float total_1_0_1_ = 0.0;
    float total_1_1_0_ = 0.0;
    float total_1_1_1_ = 0.0;
    float total_2_0_0_ = 0.0;
    float total_2_0_1_ = 0.0;
    float total_2_1_0_ = 0.0;
    float total_2_1_1_ = 0.0;
    float total_3_0_0_ = 0.0;
    float total_3_0_1_ = 0.0;
    float total_3_1_0_ = 0.0;
    float total_3_1_1_ = 0.0;
    uint first = 0u;
    metal::simdgroup_float8x8 sum_0_0_ = {};
    metal::simdgroup_float8x8 sum_0_1_ = {};
    metal::simdgroup_float8x8 sum_1_0_ = {};
    metal::simdgroup_float8x8 sum_1_1_ = {};
    metal::simdgroup_float8x8 sum_2_0_ = {};
    metal::simdgroup_float8x8 sum_2_1_ = {};
    metal::simdgroup_float8x8 sum_3_0_ = {};
    metal::simdgroup_float8x8 sum_3_1_ = {};
    uint block = {};
    uint _e6 = params.columns;
    uint blocks_1 = naga_div(_e6 + 31u, 32u);
    uint _e13 = params.features;
    uint tiles = naga_div(_e13 + 31u, 32u);
    uint _e20 = params.x_stride;
    uint x_quads = naga_div(_e20, 4u);
    uint sub_row = naga_div(subgroup, 4u);
    uint sub_column = naga_mod(subgroup, 4u);
    uint result = subgroup * 64u;
    uint a_here = sub_row * 1280u;
    uint b_here = (64u + (sub_column * 16u)) * 40u;
    uint feature_0_ = naga_mod(thread_ + 0u, 64u);
    uint piece_0_ = naga_div(thread_ + 0u, 64u);
    uint tile_0_ = metal::min(naga_div((group.x * 64u) + feature_0_, 32u), tiles - 1u);
    uint lane_0_ = naga_mod(feature_0_, 32u);
    Block _e57 = load_block(tile_0_ * blocks_1, lane_0_, weight_codes, _buffer_sizes);
    codes_0_ = _e57;
    float _e63 = params.global_scale;
    metal::float2 _e64 = half_scale(tile_0_, 0u, blocks_1, 0u, lane_0_, _e63, weight_scales, _buffer_sizes);
    so_0_0_ = _e64;
    uint x_row = naga_div(thread_, 8u);
    uint x_quad = naga_mod(thread_, 8u);
    uint x_at = (((group.y * 64u) + x_row) * x_quads) + x_quad;
    metal::half4 _e81 = x[x_at + (0u * x_quads)];
    x_0_ = _e81;
    metal::half4 _e88 = x[x_at + (32u * x_quads)];
    x_1_ = _e88;
    i = thread_;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e98 = i;
            i = _e98 + 256u;
        }
        loop_init = false;
        uint _e91 = i;
        if (_e91 < 64u) {
        } else {
            break;
        }
        {
            uint _e95 = i;
            zeros.inner[_e95] = 0.0;
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e690 = first;
            uint _e693 = params.part_blocks;
            first = _e690 + _e693;
        }
        loop_init_1 = false;
        uint _e135 = first;
        if (_e135 < blocks_1) {
        } else {
            break;
        }
        {
            uint _e137 = first;
            uint _e140 = params.part_blocks;
            uint end = metal::min(_e137 + _e140, blocks_1);
            sum_0_0_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            sum_0_1_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            sum_1_0_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            sum_1_1_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            sum_2_0_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            sum_2_1_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            sum_3_0_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            sum_3_1_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            uint _e183 = first;
            block = _e183;
            uint2 loop_bound_2 = uint2(4294967295u);
            bool loop_init_2 = true;
            while(true) {
                if (metal::all(loop_bound_2 == uint2(0u))) { break; }
                loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
                if (!loop_init_2) {
                    uint _e528 = block;
                    block = _e528 + 1u;
                }
                loop_init_2 = false;
                uint _e185 = block;
                if (_e185 < end) {
                } else {
                    break;
                }
                {
                    uint _e187 = block;
                    uint buffer = (_e187 & 1u) * 5120u;
                    metal::half4 _e200 = x_0_;
                    stage((buffer + ((x_row + 0u) * 40u)) + (x_quad * 4u), _e200, staged);
                    metal::half4 _e209 = x_1_;
                    stage((buffer + ((x_row + 32u) * 40u)) + (x_quad * 4u), _e209, staged);
                    {
                        uint at_2 = buffer + ((64u + feature_0_) * 40u);
                        if (piece_0_ == 0u) {
                            Block _e219 = codes_0_;
                            metal::float2 _e220 = so_0_0_;
                            metal::half4 _e221 = half_0_(_e219, _e220);
                            stage(at_2 + 0u, _e221, staged);
                            Block _e224 = codes_0_;
                            metal::float2 _e225 = so_0_0_;
                            metal::half4 _e226 = half_1_(_e224, _e225);
                            stage(at_2 + 4u, _e226, staged);
                        }
                        if (piece_0_ == 1u) {
                            Block _e231 = codes_0_;
                            metal::float2 _e232 = so_0_0_;
                            metal::half4 _e233 = half_2_(_e231, _e232);
                            stage(at_2 + 8u, _e233, staged);
                            Block _e236 = codes_0_;
                            metal::float2 _e237 = so_0_0_;
                            metal::half4 _e238 = half_3_(_e236, _e237);
                            stage(at_2 + 12u, _e238, staged);
                        }
                        if (piece_0_ == 2u) {
                            Block _e243 = codes_0_;
                            metal::float2 _e244 = so_0_0_;
                            metal::half4 _e245 = half_4_(_e243, _e244);
                            stage(at_2 + 16u, _e245, staged);
                            Block _e248 = codes_0_;
                            metal::float2 _e249 = so_0_0_;
                            metal::half4 _e250 = half_5_(_e248, _e249);
                            stage(at_2 + 20u, _e250, staged);
                        }
                        if (piece_0_ == 3u) {
                            Block _e255 = codes_0_;
                            metal::float2 _e256 = so_0_0_;
                            metal::half4 _e257 = half_6_(_e255, _e256);
                            stage(at_2 + 24u, _e257, staged);
                            Block _e260 = codes_0_;
                            metal::float2 _e261 = so_0_0_;
                            metal::half4 _e262 = half_7_(_e260, _e261);
                            stage(at_2 + 28u, _e262, staged);
                        }
                    }
                    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                    uint _e263 = block;
                    uint next = metal::min(_e263 + 1u, blocks_1 - 1u);
                    Block _e271 = load_block((tile_0_ * blocks_1) + next, lane_0_, weight_codes, _buffer_sizes);
                    codes_0_ = _e271;
                    float _e275 = params.global_scale;
                    metal::float2 _e276 = half_scale(tile_0_, next, blocks_1, 0u, lane_0_, _e275, weight_scales, _buffer_sizes);
                    so_0_0_ = _e276;
                    metal::half4 _e285 = x[(x_at + (0u * x_quads)) + (next * 8u)];
                    x_0_ = _e285;
                    metal::half4 _e294 = x[(x_at + (32u * x_quads)) + (next * 8u)];
                    x_1_ = _e294;
                    {
                        metal::simdgroup_half8x8 a_0_ = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 0u], 40u, false);
                        metal::simdgroup_half8x8 a_1_ = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 320u], 40u, false);
                        metal::simdgroup_half8x8 a_2_ = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 640u], 40u, false);
                        metal::simdgroup_half8x8 a_3_ = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 960u], 40u, false);
                        metal::simdgroup_half8x8 b_0_ = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 0u], 40u, true);
                        metal::simdgroup_float8x8 _e330 = sum_0_0_;
                        sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_, b_0_, _e330);
                        metal::simdgroup_float8x8 _e332 = sum_1_0_;
                        sum_1_0_ = NagaCooperativeMultiplyAdd(a_1_, b_0_, _e332);
                        metal::simdgroup_float8x8 _e334 = sum_2_0_;
                        sum_2_0_ = NagaCooperativeMultiplyAdd(a_2_, b_0_, _e334);
                        metal::simdgroup_float8x8 _e336 = sum_3_0_;
                        sum_3_0_ = NagaCooperativeMultiplyAdd(a_3_, b_0_, _e336);
                        metal::simdgroup_half8x8 b_1_ = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 320u], 40u, true);
                        metal::simdgroup_float8x8 _e345 = sum_0_1_;
                        sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_, b_1_, _e345);
                        metal::simdgroup_float8x8 _e347 = sum_1_1_;
                        sum_1_1_ = NagaCooperativeMultiplyAdd(a_1_, b_1_, _e347);
                        metal::simdgroup_float8x8 _e349 = sum_2_1_;
                        sum_2_1_ = NagaCooperativeMultiplyAdd(a_2_, b_1_, _e349);
                        metal::simdgroup_float8x8 _e351 = sum_3_1_;
                        sum_3_1_ = NagaCooperativeMultiplyAdd(a_3_, b_1_, _e351);
                    }
                    {
                        metal::simdgroup_half8x8 a_0_1 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 8u], 40u, false);
                        metal::simdgroup_half8x8 a_1_1 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 328u], 40u, false);
                        metal::simdgroup_half8x8 a_2_1 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 648u], 40u, false);
                        metal::simdgroup_half8x8 a_3_1 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 968u], 40u, false);
                        metal::simdgroup_half8x8 b_0_1 = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 8u], 40u, true);
                        metal::simdgroup_float8x8 _e388 = sum_0_0_;
                        sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_1, b_0_1, _e388);
                        metal::simdgroup_float8x8 _e390 = sum_1_0_;
                        sum_1_0_ = NagaCooperativeMultiplyAdd(a_1_1, b_0_1, _e390);
                        metal::simdgroup_float8x8 _e392 = sum_2_0_;
                        sum_2_0_ = NagaCooperativeMultiplyAdd(a_2_1, b_0_1, _e392);
                        metal::simdgroup_float8x8 _e394 = sum_3_0_;
                        sum_3_0_ = NagaCooperativeMultiplyAdd(a_3_1, b_0_1, _e394);
                        metal::simdgroup_half8x8 b_1_1 = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 328u], 40u, true);
                        metal::simdgroup_float8x8 _e403 = sum_0_1_;
                        sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_1, b_1_1, _e403);
                        metal::simdgroup_float8x8 _e405 = sum_1_1_;
                        sum_1_1_ = NagaCooperativeMultiplyAdd(a_1_1, b_1_1, _e405);
                        metal::simdgroup_float8x8 _e407 = sum_2_1_;
                        sum_2_1_ = NagaCooperativeMultiplyAdd(a_2_1, b_1_1, _e407);
                        metal::simdgroup_float8x8 _e409 = sum_3_1_;
                        sum_3_1_ = NagaCooperativeMultiplyAdd(a_3_1, b_1_1, _e409);
                    }
                    {
                        metal::simdgroup_half8x8 a_0_2 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 16u], 40u, false);
                        metal::simdgroup_half8x8 a_1_2 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 336u], 40u, false);
                        metal::simdgroup_half8x8 a_2_2 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 656u], 40u, false);
                        metal::simdgroup_half8x8 a_3_2 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 976u], 40u, false);
                        metal::simdgroup_half8x8 b_0_2 = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 16u], 40u, true);
                        metal::simdgroup_float8x8 _e446 = sum_0_0_;
                        sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_2, b_0_2, _e446);
                        metal::simdgroup_float8x8 _e448 = sum_1_0_;
                        sum_1_0_ = NagaCooperativeMultiplyAdd(a_1_2, b_0_2, _e448);
                        metal::simdgroup_float8x8 _e450 = sum_2_0_;
                        sum_2_0_ = NagaCooperativeMultiplyAdd(a_2_2, b_0_2, _e450);
                        metal::simdgroup_float8x8 _e452 = sum_3_0_;
                        sum_3_0_ = NagaCooperativeMultiplyAdd(a_3_2, b_0_2, _e452);
                        metal::simdgroup_half8x8 b_1_2 = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 336u], 40u, true);
                        metal::simdgroup_float8x8 _e461 = sum_0_1_;
                        sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_2, b_1_2, _e461);
                        metal::simdgroup_float8x8 _e463 = sum_1_1_;
                        sum_1_1_ = NagaCooperativeMultiplyAdd(a_1_2, b_1_2, _e463);
                        metal::simdgroup_float8x8 _e465 = sum_2_1_;
                        sum_2_1_ = NagaCooperativeMultiplyAdd(a_2_2, b_1_2, _e465);
                        metal::simdgroup_float8x8 _e467 = sum_3_1_;
                        sum_3_1_ = NagaCooperativeMultiplyAdd(a_3_2, b_1_2, _e467);
                    }
                    {
                        metal::simdgroup_half8x8 a_0_3 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 24u], 40u, false);
                        metal::simdgroup_half8x8 a_1_3 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 344u], 40u, false);
                        metal::simdgroup_half8x8 a_2_3 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 664u], 40u, false);
                        metal::simdgroup_half8x8 a_3_3 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 984u], 40u, false);
                        metal::simdgroup_half8x8 b_0_3 = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 24u], 40u, true);
                        metal::simdgroup_float8x8 _e504 = sum_0_0_;
                        sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_3, b_0_3, _e504);
                        metal::simdgroup_float8x8 _e506 = sum_1_0_;
                        sum_1_0_ = NagaCooperativeMultiplyAdd(a_1_3, b_0_3, _e506);
                        metal::simdgroup_float8x8 _e508 = sum_2_0_;
                        sum_2_0_ = NagaCooperativeMultiplyAdd(a_2_3, b_0_3, _e508);
                        metal::simdgroup_float8x8 _e510 = sum_3_0_;
                        sum_3_0_ = NagaCooperativeMultiplyAdd(a_3_3, b_0_3, _e510);
                        metal::simdgroup_half8x8 b_1_3 = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 344u], 40u, true);
                        metal::simdgroup_float8x8 _e519 = sum_0_1_;
                        sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_3, b_1_3, _e519);
                        metal::simdgroup_float8x8 _e521 = sum_1_1_;
                        sum_1_1_ = NagaCooperativeMultiplyAdd(a_1_3, b_1_3, _e521);
                        metal::simdgroup_float8x8 _e523 = sum_2_1_;
                        sum_2_1_ = NagaCooperativeMultiplyAdd(a_2_3, b_1_3, _e523);
                        metal::simdgroup_float8x8 _e525 = sum_3_1_;
                        sum_3_1_ = NagaCooperativeMultiplyAdd(a_3_3, b_1_3, _e525);
                    }
                }
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e530 = sum_0_0_;
            simdgroup_store(_e530, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e534 = total_0_0_0_;
            float _e540 = results.inner[(result + lane) + 0u];
            total_0_0_0_ = _e534 + _e540;
            float _e542 = total_0_0_1_;
            float _e548 = results.inner[(result + lane) + 32u];
            total_0_0_1_ = _e542 + _e548;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e550 = sum_0_1_;
            simdgroup_store(_e550, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e554 = total_0_1_0_;
            float _e560 = results.inner[(result + lane) + 0u];
            total_0_1_0_ = _e554 + _e560;
            float _e562 = total_0_1_1_;
            float _e568 = results.inner[(result + lane) + 32u];
            total_0_1_1_ = _e562 + _e568;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e570 = sum_1_0_;
            simdgroup_store(_e570, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e574 = total_1_0_0_;
            float _e580 = results.inner[(result + lane) + 0u];
            total_1_0_0_ = _e574 + _e580;
            float _e582 = total_1_0_1_;
            float _e588 = results.inner[(result + lane) + 32u];
            total_1_0_1_ = _e582 + _e588;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e590 = sum_1_1_;
            simdgroup_store(_e590, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e594 = total_1_1_0_;
            float _e600 = results.inner[(result + lane) + 0u];
            total_1_1_0_ = _e594 + _e600;
            float _e602 = total_1_1_1_;
            float _e608 = results.inner[(result + lane) + 32u];
            total_1_1_1_ = _e602 + _e608;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e610 = sum_2_0_;
            simdgroup_store(_e610, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e614 = total_2_0_0_;
            float _e620 = results.inner[(result + lane) + 0u];
            total_2_0_0_ = _e614 + _e620;
            float _e622 = total_2_0_1_;
            float _e628 = results.inner[(result + lane) + 32u];
            total_2_0_1_ = _e622 + _e628;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e630 = sum_2_1_;
            simdgroup_store(_e630, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e634 = total_2_1_0_;
            float _e640 = results.inner[(result + lane) + 0u];
            total_2_1_0_ = _e634 + _e640;
            float _e642 = total_2_1_1_;
            float _e648 = results.inner[(result + lane) + 32u];
            total_2_1_1_ = _e642 + _e648;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e650 = sum_3_0_;
            simdgroup_store(_e650, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e654 = total_3_0_0_;
            float _e660 = results.inner[(result + lane) + 0u];
            total_3_0_0_ = _e654 + _e660;
            float _e662 = total_3_0_1_;
            float _e668 = results.inner[(result + lane) + 32u];
            total_3_0_1_ = _e662 + _e668;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e670 = sum_3_1_;
            simdgroup_store(_e670, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e674 = total_3_1_0_;
            float _e680 = results.inner[(result + lane) + 0u];
            total_3_1_0_ = _e674 + _e680;
            float _e682 = total_3_1_1_;
            float _e688 = results.inner[(result + lane) + 32u];
            total_3_1_1_ = _e682 + _e688;
        }
    }
    uint first_row = (group.y * 64u) + (sub_row * 32u);
    uint first_feature = (group.x * 64u) + (sub_column * 16u);
    {
        uint at_3 = lane + 0u;
        uint row_1 = (first_row + 0u) + naga_div(at_3, 8u);
        float value_2 = total_0_0_0_;
        float _e722 = factors[row_1];
        store(row_1, (first_feature + 0u) + naga_mod(at_3, 8u), (value_2 * _e722) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_4 = lane + 32u;
        uint row_2 = (first_row + 0u) + naga_div(at_4, 8u);
        float value_3 = total_0_0_1_;
        float _e741 = factors[row_2];
        store(row_2, (first_feature + 0u) + naga_mod(at_4, 8u), (value_3 * _e741) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_5 = lane + 0u;
        uint row_3 = (first_row + 0u) + naga_div(at_5, 8u);
        float value_4 = total_0_1_0_;
        float _e760 = factors[row_3];
        store(row_3, (first_feature + 8u) + naga_mod(at_5, 8u), (value_4 * _e760) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_6 = lane + 32u;
        uint row_4 = (first_row + 0u) + naga_div(at_6, 8u);
        float value_5 = total_0_1_1_;
        float _e779 = factors[row_4];
        store(row_4, (first_feature + 8u) + naga_mod(at_6, 8u), (value_5 * _e779) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_7 = lane + 0u;
        uint row_5 = (first_row + 8u) + naga_div(at_7, 8u);
        float value_6 = total_1_0_0_;
        float _e798 = factors[row_5];
        store(row_5, (first_feature + 0u) + naga_mod(at_7, 8u), (value_6 * _e798) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_8 = lane + 32u;
        uint row_6 = (first_row + 8u) + naga_div(at_8, 8u);
        float value_7 = total_1_0_1_;
        float _e817 = factors[row_6];
        store(row_6, (first_feature + 0u) + naga_mod(at_8, 8u), (value_7 * _e817) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_9 = lane + 0u;
        uint row_7 = (first_row + 8u) + naga_div(at_9, 8u);
        float value_8 = total_1_1_0_;
        float _e836 = factors[row_7];
        store(row_7, (first_feature + 8u) + naga_mod(at_9, 8u), (value_8 * _e836) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_10 = lane + 32u;
        uint row_8 = (first_row + 8u) + naga_div(at_10, 8u);
        float value_9 = total_1_1_1_;
        float _e855 = factors[row_8];
        store(row_8, (first_feature + 8u) + naga_mod(at_10, 8u), (value_9 * _e855) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_11 = lane + 0u;
        uint row_9 = (first_row + 16u) + naga_div(at_11, 8u);
        float value_10 = total_2_0_0_;
        float _e874 = factors[row_9];
        store(row_9, (first_feature + 0u) + naga_mod(at_11, 8u), (value_10 * _e874) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_12 = lane + 32u;
        uint row_10 = (first_row + 16u) + naga_div(at_12, 8u);
        float value_11 = total_2_0_1_;
        float _e893 = factors[row_10];
        store(row_10, (first_feature + 0u) + naga_mod(at_12, 8u), (value_11 * _e893) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_13 = lane + 0u;
        uint row_11 = (first_row + 16u) + naga_div(at_13, 8u);
        float value_12 = total_2_1_0_;
        float _e912 = factors[row_11];
        store(row_11, (first_feature + 8u) + naga_mod(at_13, 8u), (value_12 * _e912) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_14 = lane + 32u;
        uint row_12 = (first_row + 16u) + naga_div(at_14, 8u);
        float value_13 = total_2_1_1_;
        float _e931 = factors[row_12];
        store(row_12, (first_feature + 8u) + naga_mod(at_14, 8u), (value_13 * _e931) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_15 = lane + 0u;
        uint row_13 = (first_row + 24u) + naga_div(at_15, 8u);
        float value_14 = total_3_0_0_;
        float _e950 = factors[row_13];
        store(row_13, (first_feature + 0u) + naga_mod(at_15, 8u), (value_14 * _e950) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_16 = lane + 32u;
        uint row_14 = (first_row + 24u) + naga_div(at_16, 8u);
        float value_15 = total_3_0_1_;
        float _e969 = factors[row_14];
        store(row_14, (first_feature + 0u) + naga_mod(at_16, 8u), (value_15 * _e969) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_17 = lane + 0u;
        uint row_15 = (first_row + 24u) + naga_div(at_17, 8u);
        float value_16 = total_3_1_0_;
        float _e988 = factors[row_15];
        store(row_15, (first_feature + 8u) + naga_mod(at_17, 8u), (value_16 * _e988) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_18 = lane + 32u;
        uint row_16 = (first_row + 24u) + naga_div(at_18, 8u);
        float value_17 = total_3_1_1_;
        float _e1007 = factors[row_16];
        store(row_16, (first_feature + 8u) + naga_mod(at_18, 8u), (value_17 * _e1007) * 0.015625, out, params, _buffer_sizes);
        return;
    }
}

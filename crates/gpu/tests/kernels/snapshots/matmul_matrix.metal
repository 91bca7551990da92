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
    device type_8 const& weight_scales,
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
    uint block_2,
    uint half_
) {
    return naga_div(block_2 * 32u, 32u);
}

RawScale raw_scale(
    uint tile_1,
    uint block_3,
    uint blocks,
    uint half_1,
    uint lane_3,
    device type_8 const& weight_scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e5 = group_of(block_3, half_1);
    RawScale _e10 = load_scale(tile_1, _e5, naga_div(blocks * 32u, 32u), lane_3, weight_scales, _buffer_sizes);
    return _e10;
}

metal::float2 scale_offset(
    uint tile_2,
    uint block_4,
    uint blocks_1,
    uint half_2,
    uint lane_4,
    float global_1,
    device type_8 const& weight_scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    RawScale _e6 = raw_scale(tile_2, block_4, blocks_1, half_2, lane_4, weight_scales, _buffer_sizes);
    uint _e7 = group_of(block_4, half_2);
    metal::float2 _e8 = decode_scale(_e6, _e7, global_1);
    return _e8;
}

HalfScale half_scale(
    RawScale raw_2,
    uint block_5,
    uint half_3,
    float global_2
) {
    uint _e4 = group_of(block_5, half_3);
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
    RawScale raw_0_0_ = {};
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
    uint blocks_2 = naga_div(_e6 + 31u, 32u);
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
    Block _e57 = load_block(tile_0_ * blocks_2, lane_0_, weight_codes, _buffer_sizes);
    codes_0_ = _e57;
    RawScale _e61 = raw_scale(tile_0_, 0u, blocks_2, 0u, lane_0_, weight_scales, _buffer_sizes);
    raw_0_0_ = _e61;
    uint x_row = naga_div(thread_, 8u);
    uint x_quad = naga_mod(thread_, 8u);
    uint x_at = (((group.y * 64u) + x_row) * x_quads) + x_quad;
    metal::half4 _e78 = x[x_at + (0u * x_quads)];
    x_0_ = _e78;
    metal::half4 _e85 = x[x_at + (32u * x_quads)];
    x_1_ = _e85;
    i = thread_;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e95 = i;
            i = _e95 + 256u;
        }
        loop_init = false;
        uint _e88 = i;
        if (_e88 < 64u) {
        } else {
            break;
        }
        {
            uint _e92 = i;
            zeros.inner[_e92] = 0.0;
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e683 = first;
            uint _e686 = params.part_blocks;
            first = _e683 + _e686;
        }
        loop_init_1 = false;
        uint _e132 = first;
        if (_e132 < blocks_2) {
        } else {
            break;
        }
        {
            uint _e134 = first;
            uint _e137 = params.part_blocks;
            uint end = metal::min(_e134 + _e137, blocks_2);
            sum_0_0_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            sum_0_1_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            sum_1_0_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            sum_1_1_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            sum_2_0_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            sum_2_1_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            sum_3_0_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            sum_3_1_ = NagaCooperativeLoad(&zeros.inner[0], 8u, false);
            uint _e180 = first;
            block = _e180;
            uint2 loop_bound_2 = uint2(4294967295u);
            bool loop_init_2 = true;
            while(true) {
                if (metal::all(loop_bound_2 == uint2(0u))) { break; }
                loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
                if (!loop_init_2) {
                    uint _e521 = block;
                    block = _e521 + 1u;
                }
                loop_init_2 = false;
                uint _e182 = block;
                if (_e182 < end) {
                } else {
                    break;
                }
                {
                    uint _e184 = block;
                    uint buffer = (_e184 & 1u) * 5120u;
                    metal::half4 _e197 = x_0_;
                    stage((buffer + ((x_row + 0u) * 40u)) + (x_quad * 4u), _e197, staged);
                    metal::half4 _e206 = x_1_;
                    stage((buffer + ((x_row + 32u) * 40u)) + (x_quad * 4u), _e206, staged);
                    {
                        uint at_2 = buffer + ((64u + feature_0_) * 40u);
                        RawScale _e212 = raw_0_0_;
                        uint _e213 = block;
                        float _e217 = params.global_scale;
                        HalfScale _e218 = half_scale(_e212, _e213, 0u, _e217);
                        if (piece_0_ == 0u) {
                            Block _e221 = codes_0_;
                            Eight _e222 = eight_0_(_e221, _e218);
                            stage(at_2 + 0u, _e222.low, staged);
                            stage(at_2 + 4u, _e222.high, staged);
                        }
                        if (piece_0_ == 1u) {
                            Block _e231 = codes_0_;
                            Eight _e232 = eight_1_(_e231, _e218);
                            stage(at_2 + 8u, _e232.low, staged);
                            stage(at_2 + 12u, _e232.high, staged);
                        }
                        if (piece_0_ == 2u) {
                            Block _e241 = codes_0_;
                            Eight _e242 = eight_2_(_e241, _e218);
                            stage(at_2 + 16u, _e242.low, staged);
                            stage(at_2 + 20u, _e242.high, staged);
                        }
                        if (piece_0_ == 3u) {
                            Block _e251 = codes_0_;
                            Eight _e252 = eight_3_(_e251, _e218);
                            stage(at_2 + 24u, _e252.low, staged);
                            stage(at_2 + 28u, _e252.high, staged);
                        }
                    }
                    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                    uint _e259 = block;
                    uint next = metal::min(_e259 + 1u, blocks_2 - 1u);
                    Block _e267 = load_block((tile_0_ * blocks_2) + next, lane_0_, weight_codes, _buffer_sizes);
                    codes_0_ = _e267;
                    RawScale _e269 = raw_scale(tile_0_, next, blocks_2, 0u, lane_0_, weight_scales, _buffer_sizes);
                    raw_0_0_ = _e269;
                    metal::half4 _e278 = x[(x_at + (0u * x_quads)) + (next * 8u)];
                    x_0_ = _e278;
                    metal::half4 _e287 = x[(x_at + (32u * x_quads)) + (next * 8u)];
                    x_1_ = _e287;
                    {
                        metal::simdgroup_half8x8 a_0_ = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 0u], 40u, false);
                        metal::simdgroup_half8x8 a_1_ = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 320u], 40u, false);
                        metal::simdgroup_half8x8 a_2_ = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 640u], 40u, false);
                        metal::simdgroup_half8x8 a_3_ = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 960u], 40u, false);
                        metal::simdgroup_half8x8 b_0_ = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 0u], 40u, true);
                        metal::simdgroup_float8x8 _e323 = sum_0_0_;
                        sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_, b_0_, _e323);
                        metal::simdgroup_float8x8 _e325 = sum_1_0_;
                        sum_1_0_ = NagaCooperativeMultiplyAdd(a_1_, b_0_, _e325);
                        metal::simdgroup_float8x8 _e327 = sum_2_0_;
                        sum_2_0_ = NagaCooperativeMultiplyAdd(a_2_, b_0_, _e327);
                        metal::simdgroup_float8x8 _e329 = sum_3_0_;
                        sum_3_0_ = NagaCooperativeMultiplyAdd(a_3_, b_0_, _e329);
                        metal::simdgroup_half8x8 b_1_ = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 320u], 40u, true);
                        metal::simdgroup_float8x8 _e338 = sum_0_1_;
                        sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_, b_1_, _e338);
                        metal::simdgroup_float8x8 _e340 = sum_1_1_;
                        sum_1_1_ = NagaCooperativeMultiplyAdd(a_1_, b_1_, _e340);
                        metal::simdgroup_float8x8 _e342 = sum_2_1_;
                        sum_2_1_ = NagaCooperativeMultiplyAdd(a_2_, b_1_, _e342);
                        metal::simdgroup_float8x8 _e344 = sum_3_1_;
                        sum_3_1_ = NagaCooperativeMultiplyAdd(a_3_, b_1_, _e344);
                    }
                    {
                        metal::simdgroup_half8x8 a_0_1 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 8u], 40u, false);
                        metal::simdgroup_half8x8 a_1_1 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 328u], 40u, false);
                        metal::simdgroup_half8x8 a_2_1 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 648u], 40u, false);
                        metal::simdgroup_half8x8 a_3_1 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 968u], 40u, false);
                        metal::simdgroup_half8x8 b_0_1 = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 8u], 40u, true);
                        metal::simdgroup_float8x8 _e381 = sum_0_0_;
                        sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_1, b_0_1, _e381);
                        metal::simdgroup_float8x8 _e383 = sum_1_0_;
                        sum_1_0_ = NagaCooperativeMultiplyAdd(a_1_1, b_0_1, _e383);
                        metal::simdgroup_float8x8 _e385 = sum_2_0_;
                        sum_2_0_ = NagaCooperativeMultiplyAdd(a_2_1, b_0_1, _e385);
                        metal::simdgroup_float8x8 _e387 = sum_3_0_;
                        sum_3_0_ = NagaCooperativeMultiplyAdd(a_3_1, b_0_1, _e387);
                        metal::simdgroup_half8x8 b_1_1 = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 328u], 40u, true);
                        metal::simdgroup_float8x8 _e396 = sum_0_1_;
                        sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_1, b_1_1, _e396);
                        metal::simdgroup_float8x8 _e398 = sum_1_1_;
                        sum_1_1_ = NagaCooperativeMultiplyAdd(a_1_1, b_1_1, _e398);
                        metal::simdgroup_float8x8 _e400 = sum_2_1_;
                        sum_2_1_ = NagaCooperativeMultiplyAdd(a_2_1, b_1_1, _e400);
                        metal::simdgroup_float8x8 _e402 = sum_3_1_;
                        sum_3_1_ = NagaCooperativeMultiplyAdd(a_3_1, b_1_1, _e402);
                    }
                    {
                        metal::simdgroup_half8x8 a_0_2 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 16u], 40u, false);
                        metal::simdgroup_half8x8 a_1_2 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 336u], 40u, false);
                        metal::simdgroup_half8x8 a_2_2 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 656u], 40u, false);
                        metal::simdgroup_half8x8 a_3_2 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 976u], 40u, false);
                        metal::simdgroup_half8x8 b_0_2 = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 16u], 40u, true);
                        metal::simdgroup_float8x8 _e439 = sum_0_0_;
                        sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_2, b_0_2, _e439);
                        metal::simdgroup_float8x8 _e441 = sum_1_0_;
                        sum_1_0_ = NagaCooperativeMultiplyAdd(a_1_2, b_0_2, _e441);
                        metal::simdgroup_float8x8 _e443 = sum_2_0_;
                        sum_2_0_ = NagaCooperativeMultiplyAdd(a_2_2, b_0_2, _e443);
                        metal::simdgroup_float8x8 _e445 = sum_3_0_;
                        sum_3_0_ = NagaCooperativeMultiplyAdd(a_3_2, b_0_2, _e445);
                        metal::simdgroup_half8x8 b_1_2 = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 336u], 40u, true);
                        metal::simdgroup_float8x8 _e454 = sum_0_1_;
                        sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_2, b_1_2, _e454);
                        metal::simdgroup_float8x8 _e456 = sum_1_1_;
                        sum_1_1_ = NagaCooperativeMultiplyAdd(a_1_2, b_1_2, _e456);
                        metal::simdgroup_float8x8 _e458 = sum_2_1_;
                        sum_2_1_ = NagaCooperativeMultiplyAdd(a_2_2, b_1_2, _e458);
                        metal::simdgroup_float8x8 _e460 = sum_3_1_;
                        sum_3_1_ = NagaCooperativeMultiplyAdd(a_3_2, b_1_2, _e460);
                    }
                    {
                        metal::simdgroup_half8x8 a_0_3 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 24u], 40u, false);
                        metal::simdgroup_half8x8 a_1_3 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 344u], 40u, false);
                        metal::simdgroup_half8x8 a_2_3 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 664u], 40u, false);
                        metal::simdgroup_half8x8 a_3_3 = NagaCooperativeLoad(&staged.inner[(buffer + a_here) + 984u], 40u, false);
                        metal::simdgroup_half8x8 b_0_3 = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 24u], 40u, true);
                        metal::simdgroup_float8x8 _e497 = sum_0_0_;
                        sum_0_0_ = NagaCooperativeMultiplyAdd(a_0_3, b_0_3, _e497);
                        metal::simdgroup_float8x8 _e499 = sum_1_0_;
                        sum_1_0_ = NagaCooperativeMultiplyAdd(a_1_3, b_0_3, _e499);
                        metal::simdgroup_float8x8 _e501 = sum_2_0_;
                        sum_2_0_ = NagaCooperativeMultiplyAdd(a_2_3, b_0_3, _e501);
                        metal::simdgroup_float8x8 _e503 = sum_3_0_;
                        sum_3_0_ = NagaCooperativeMultiplyAdd(a_3_3, b_0_3, _e503);
                        metal::simdgroup_half8x8 b_1_3 = NagaCooperativeLoad(&staged.inner[(buffer + b_here) + 344u], 40u, true);
                        metal::simdgroup_float8x8 _e512 = sum_0_1_;
                        sum_0_1_ = NagaCooperativeMultiplyAdd(a_0_3, b_1_3, _e512);
                        metal::simdgroup_float8x8 _e514 = sum_1_1_;
                        sum_1_1_ = NagaCooperativeMultiplyAdd(a_1_3, b_1_3, _e514);
                        metal::simdgroup_float8x8 _e516 = sum_2_1_;
                        sum_2_1_ = NagaCooperativeMultiplyAdd(a_2_3, b_1_3, _e516);
                        metal::simdgroup_float8x8 _e518 = sum_3_1_;
                        sum_3_1_ = NagaCooperativeMultiplyAdd(a_3_3, b_1_3, _e518);
                    }
                }
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e523 = sum_0_0_;
            simdgroup_store(_e523, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e527 = total_0_0_0_;
            float _e533 = results.inner[(result + lane) + 0u];
            total_0_0_0_ = _e527 + _e533;
            float _e535 = total_0_0_1_;
            float _e541 = results.inner[(result + lane) + 32u];
            total_0_0_1_ = _e535 + _e541;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e543 = sum_0_1_;
            simdgroup_store(_e543, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e547 = total_0_1_0_;
            float _e553 = results.inner[(result + lane) + 0u];
            total_0_1_0_ = _e547 + _e553;
            float _e555 = total_0_1_1_;
            float _e561 = results.inner[(result + lane) + 32u];
            total_0_1_1_ = _e555 + _e561;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e563 = sum_1_0_;
            simdgroup_store(_e563, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e567 = total_1_0_0_;
            float _e573 = results.inner[(result + lane) + 0u];
            total_1_0_0_ = _e567 + _e573;
            float _e575 = total_1_0_1_;
            float _e581 = results.inner[(result + lane) + 32u];
            total_1_0_1_ = _e575 + _e581;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e583 = sum_1_1_;
            simdgroup_store(_e583, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e587 = total_1_1_0_;
            float _e593 = results.inner[(result + lane) + 0u];
            total_1_1_0_ = _e587 + _e593;
            float _e595 = total_1_1_1_;
            float _e601 = results.inner[(result + lane) + 32u];
            total_1_1_1_ = _e595 + _e601;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e603 = sum_2_0_;
            simdgroup_store(_e603, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e607 = total_2_0_0_;
            float _e613 = results.inner[(result + lane) + 0u];
            total_2_0_0_ = _e607 + _e613;
            float _e615 = total_2_0_1_;
            float _e621 = results.inner[(result + lane) + 32u];
            total_2_0_1_ = _e615 + _e621;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e623 = sum_2_1_;
            simdgroup_store(_e623, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e627 = total_2_1_0_;
            float _e633 = results.inner[(result + lane) + 0u];
            total_2_1_0_ = _e627 + _e633;
            float _e635 = total_2_1_1_;
            float _e641 = results.inner[(result + lane) + 32u];
            total_2_1_1_ = _e635 + _e641;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e643 = sum_3_0_;
            simdgroup_store(_e643, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e647 = total_3_0_0_;
            float _e653 = results.inner[(result + lane) + 0u];
            total_3_0_0_ = _e647 + _e653;
            float _e655 = total_3_0_1_;
            float _e661 = results.inner[(result + lane) + 32u];
            total_3_0_1_ = _e655 + _e661;
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::simdgroup_float8x8 _e663 = sum_3_1_;
            simdgroup_store(_e663, &results.inner[result], 8u);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            float _e667 = total_3_1_0_;
            float _e673 = results.inner[(result + lane) + 0u];
            total_3_1_0_ = _e667 + _e673;
            float _e675 = total_3_1_1_;
            float _e681 = results.inner[(result + lane) + 32u];
            total_3_1_1_ = _e675 + _e681;
        }
    }
    uint first_row = (group.y * 64u) + (sub_row * 32u);
    uint first_feature = (group.x * 64u) + (sub_column * 16u);
    {
        uint at_3 = lane + 0u;
        uint row_1 = (first_row + 0u) + naga_div(at_3, 8u);
        float value_2 = total_0_0_0_;
        float _e715 = factors[row_1];
        store(row_1, (first_feature + 0u) + naga_mod(at_3, 8u), (value_2 * _e715) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_4 = lane + 32u;
        uint row_2 = (first_row + 0u) + naga_div(at_4, 8u);
        float value_3 = total_0_0_1_;
        float _e734 = factors[row_2];
        store(row_2, (first_feature + 0u) + naga_mod(at_4, 8u), (value_3 * _e734) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_5 = lane + 0u;
        uint row_3 = (first_row + 0u) + naga_div(at_5, 8u);
        float value_4 = total_0_1_0_;
        float _e753 = factors[row_3];
        store(row_3, (first_feature + 8u) + naga_mod(at_5, 8u), (value_4 * _e753) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_6 = lane + 32u;
        uint row_4 = (first_row + 0u) + naga_div(at_6, 8u);
        float value_5 = total_0_1_1_;
        float _e772 = factors[row_4];
        store(row_4, (first_feature + 8u) + naga_mod(at_6, 8u), (value_5 * _e772) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_7 = lane + 0u;
        uint row_5 = (first_row + 8u) + naga_div(at_7, 8u);
        float value_6 = total_1_0_0_;
        float _e791 = factors[row_5];
        store(row_5, (first_feature + 0u) + naga_mod(at_7, 8u), (value_6 * _e791) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_8 = lane + 32u;
        uint row_6 = (first_row + 8u) + naga_div(at_8, 8u);
        float value_7 = total_1_0_1_;
        float _e810 = factors[row_6];
        store(row_6, (first_feature + 0u) + naga_mod(at_8, 8u), (value_7 * _e810) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_9 = lane + 0u;
        uint row_7 = (first_row + 8u) + naga_div(at_9, 8u);
        float value_8 = total_1_1_0_;
        float _e829 = factors[row_7];
        store(row_7, (first_feature + 8u) + naga_mod(at_9, 8u), (value_8 * _e829) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_10 = lane + 32u;
        uint row_8 = (first_row + 8u) + naga_div(at_10, 8u);
        float value_9 = total_1_1_1_;
        float _e848 = factors[row_8];
        store(row_8, (first_feature + 8u) + naga_mod(at_10, 8u), (value_9 * _e848) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_11 = lane + 0u;
        uint row_9 = (first_row + 16u) + naga_div(at_11, 8u);
        float value_10 = total_2_0_0_;
        float _e867 = factors[row_9];
        store(row_9, (first_feature + 0u) + naga_mod(at_11, 8u), (value_10 * _e867) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_12 = lane + 32u;
        uint row_10 = (first_row + 16u) + naga_div(at_12, 8u);
        float value_11 = total_2_0_1_;
        float _e886 = factors[row_10];
        store(row_10, (first_feature + 0u) + naga_mod(at_12, 8u), (value_11 * _e886) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_13 = lane + 0u;
        uint row_11 = (first_row + 16u) + naga_div(at_13, 8u);
        float value_12 = total_2_1_0_;
        float _e905 = factors[row_11];
        store(row_11, (first_feature + 8u) + naga_mod(at_13, 8u), (value_12 * _e905) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_14 = lane + 32u;
        uint row_12 = (first_row + 16u) + naga_div(at_14, 8u);
        float value_13 = total_2_1_1_;
        float _e924 = factors[row_12];
        store(row_12, (first_feature + 8u) + naga_mod(at_14, 8u), (value_13 * _e924) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_15 = lane + 0u;
        uint row_13 = (first_row + 24u) + naga_div(at_15, 8u);
        float value_14 = total_3_0_0_;
        float _e943 = factors[row_13];
        store(row_13, (first_feature + 0u) + naga_mod(at_15, 8u), (value_14 * _e943) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_16 = lane + 32u;
        uint row_14 = (first_row + 24u) + naga_div(at_16, 8u);
        float value_15 = total_3_0_1_;
        float _e962 = factors[row_14];
        store(row_14, (first_feature + 0u) + naga_mod(at_16, 8u), (value_15 * _e962) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_17 = lane + 0u;
        uint row_15 = (first_row + 24u) + naga_div(at_17, 8u);
        float value_16 = total_3_1_0_;
        float _e981 = factors[row_15];
        store(row_15, (first_feature + 8u) + naga_mod(at_17, 8u), (value_16 * _e981) * 0.015625, out, params, _buffer_sizes);
    }
    {
        uint at_18 = lane + 32u;
        uint row_16 = (first_row + 24u) + naga_div(at_18, 8u);
        float value_17 = total_3_1_1_;
        float _e1000 = factors[row_16];
        store(row_16, (first_feature + 8u) + naga_mod(at_18, 8u), (value_17 * _e1000) * 0.015625, out, params, _buffer_sizes);
        return;
    }
}

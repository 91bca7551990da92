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
};

typedef metal::float4 type_3[1];
typedef metal::uint2 type_5[1];
typedef uint type_6[1];
struct Block {
    metal::uint2 p0_;
};
struct RawScale {
    uint scale;
    uint other;
};
typedef float type_9[1];
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
struct type_11 {
    metal::float4 inner[512];
};
constant uint CODE = 2u;
constant uint SCALE = 2u;
constant uint GROUP = 32u;
constant uint ZERO = 0u;
constant uint BIAS = 0u;
constant uint RESIDUAL = 0u;
constant uint STEPS = 4u;
constant uint QUADS = 1u;
constant metal::float4 PRESCALE = metal::float4(1.0, 0.25, 0.0625, 0.015625);

Block load_block(
    uint block_1,
    uint lane,
    device type_5 const& weight_codes,
    constant _mslBufferSizes& _buffer_sizes
) {
    Block b = {};
    metal::uint2 _e13 = weight_codes[(((block_1 * 1u) + 0u) * 32u) + lane];
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
    uint lane_1,
    device type_6 const& weight_scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    RawScale raw = {};
    uint _e13 = weight_scales[(((tile * groups) + group_1) * 32u) + lane_1];
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
    uint lane_2,
    device type_6 const& weight_scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e5 = group_of(block_3, half_1);
    RawScale _e10 = load_scale(tile_1, _e5, naga_div(blocks * 32u, 32u), lane_2, weight_scales, _buffer_sizes);
    return _e10;
}

metal::float2 scale_offset(
    uint tile_2,
    uint block_4,
    uint blocks_1,
    uint half_2,
    uint lane_3,
    float global_1,
    device type_6 const& weight_scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    RawScale _e6 = raw_scale(tile_2, block_4, blocks_1, half_2, lane_3, weight_scales, _buffer_sizes);
    uint _e7 = group_of(block_4, half_2);
    metal::float2 _e8 = decode_scale(_e6, _e7, global_1);
    return _e8;
}

void store(
    uint row,
    uint feature,
    float value,
    device type_9& out,
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
    uint at = ((_e23 + row) * _e27) + bias_at;
    float _e32 = sum;
    out[at] = _e32;
    return;
}

metal::float4 input_quad(
    uint row_at,
    uint k,
    device type_3 const& x,
    constant Params& params,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e4 = params.columns;
    if (k >= _e4) {
        return metal::float4(0.0);
    }
    metal::float4 _e13 = x[naga_div(row_at + k, 4u)];
    return _e13;
}

Block load_wanted(
    uint block_5,
    uint lane_4,
    uint bringer,
    device type_5 const& weight_codes,
    constant _mslBufferSizes& _buffer_sizes
) {
    Block _e3 = load_block(block_5, lane_4, weight_codes, _buffer_sizes);
    return _e3;
}

struct main_Input {
};
[[max_total_threads_per_threadgroup(256)]] kernel void main_(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint thread_ [[thread_index_in_threadgroup]]
, device type_3 const& x [[user(fake0)]]
, device type_5 const& weight_codes [[user(fake0)]]
, device type_6 const& weight_scales [[user(fake0)]]
, device type_9& out [[user(fake0)]]
, constant Params& params [[user(fake0)]]
, threadgroup type_11& inputs
, threadgroup type_11& weights_here
, constant _mslBufferSizes& _buffer_sizes [[user(fake0)]]
) {
    if (thread_ == 0u) {
        inputs = {};
        weights_here = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    metal::float4 x_0_ = {};
    metal::float4 x_1_ = {};
    Block codes = {};
    RawScale raw_0_ = {};
    float whole_0_0_ = 0.0;
    float total_0_0_ = 0.0;
    float whole_0_1_ = 0.0;
    float total_0_1_ = 0.0;
    float whole_0_2_ = 0.0;
    float total_0_2_ = 0.0;
    float whole_0_3_ = 0.0;
    float total_0_3_ = 0.0;
    float whole_1_0_ = 0.0;
    float total_1_0_ = 0.0;
    float whole_1_1_ = 0.0;
    float total_1_1_ = 0.0;
    float whole_1_2_ = 0.0;
    float total_1_2_ = 0.0;
    float whole_1_3_ = 0.0;
    float total_1_3_ = 0.0;
    float whole_2_0_ = 0.0;
    float total_2_0_ = 0.0;
    float whole_2_1_ = 0.0;
    float total_2_1_ = 0.0;
    float whole_2_2_ = 0.0;
    float total_2_2_ = 0.0;
    float whole_2_3_ = 0.0;
    float total_2_3_ = 0.0;
    float whole_3_0_ = 0.0;
    float total_3_0_ = 0.0;
    float whole_3_1_ = 0.0;
    float total_3_1_ = 0.0;
    float whole_3_2_ = 0.0;
    float total_3_2_ = 0.0;
    float whole_3_3_ = 0.0;
    float total_3_3_ = 0.0;
    uint part_end = {};
    uint block = 0u;
    uint _e4 = params.columns;
    uint blocks_2 = naga_div(_e4 + 31u, 32u);
    uint _e11 = params.features;
    uint tiles = naga_div(_e11 + 31u, 32u);
    uint brought = thread_ & 63u;
    uint bringer_1 = naga_div(thread_, 64u);
    uint tile_3 = metal::min((group.x * 2u) + naga_div(brought, 32u), tiles - 1u);
    uint lane_5 = brought & 31u;
    uint quad_ = thread_ & 7u;
    uint brought_row = thread_ >> 3u;
    uint feature_1 = (thread_ & 7u) + ((thread_ >> 2u) & 8u);
    uint row_1 = ((thread_ >> 3u) & 3u) + ((thread_ >> 4u) & 12u);
    uint _e59 = params.rows;
    uint _e65 = params.x_stride;
    uint row_at_0_ = metal::min(((group.y * 64u) + brought_row) + 0u, _e59 - 1u) * _e65;
    metal::float4 _e69 = input_quad(row_at_0_, quad_ * 4u, x, params, _buffer_sizes);
    x_0_ = _e69;
    uint _e79 = params.rows;
    uint _e85 = params.x_stride;
    uint row_at_1_ = metal::min(((group.y * 64u) + brought_row) + 32u, _e79 - 1u) * _e85;
    metal::float4 _e89 = input_quad(row_at_1_, quad_ * 4u, x, params, _buffer_sizes);
    x_1_ = _e89;
    Block _e92 = load_wanted(tile_3 * blocks_2, lane_5, bringer_1, weight_codes, _buffer_sizes);
    codes = _e92;
    RawScale _e96 = raw_scale(tile_3, 0u, blocks_2, 0u, lane_5, weight_scales, _buffer_sizes);
    raw_0_ = _e96;
    uint _e164 = params.part_blocks;
    part_end = _e164;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e2791 = block;
            block = _e2791 + 1u;
        }
        loop_init = false;
        uint _e168 = block;
        if (_e168 < blocks_2) {
        } else {
            break;
        }
        {
            RawScale _e170 = raw_0_;
            uint _e171 = block;
            uint _e173 = group_of(_e171, 0u);
            float _e176 = params.global_scale;
            metal::float2 _e177 = decode_scale(_e170, _e173, _e176);
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            metal::float4 _e186 = x_0_;
            inputs.inner[(quad_ * 64u) + ((brought_row + 0u) ^ quad_)] = _e186;
            metal::float4 _e195 = x_1_;
            inputs.inner[(quad_ * 64u) + ((brought_row + 32u) ^ quad_)] = _e195;
            if (bringer_1 == 0u) {
                Block _e202 = codes;
                metal::float4 _e203 = weight_0_(_e202, _e177);
                weights_here.inner[0u + brought] = _e203;
            }
            if (bringer_1 == 0u) {
                Block _e210 = codes;
                metal::float4 _e211 = weight_1_(_e210, _e177);
                weights_here.inner[64u + brought] = _e211;
            }
            if (bringer_1 == 1u) {
                Block _e218 = codes;
                metal::float4 _e219 = weight_2_(_e218, _e177);
                weights_here.inner[128u + brought] = _e219;
            }
            if (bringer_1 == 1u) {
                Block _e226 = codes;
                metal::float4 _e227 = weight_3_(_e226, _e177);
                weights_here.inner[192u + brought] = _e227;
            }
            if (bringer_1 == 2u) {
                Block _e234 = codes;
                metal::float4 _e235 = weight_4_(_e234, _e177);
                weights_here.inner[256u + brought] = _e235;
            }
            if (bringer_1 == 2u) {
                Block _e242 = codes;
                metal::float4 _e243 = weight_5_(_e242, _e177);
                weights_here.inner[320u + brought] = _e243;
            }
            if (bringer_1 == 3u) {
                Block _e250 = codes;
                metal::float4 _e251 = weight_6_(_e250, _e177);
                weights_here.inner[384u + brought] = _e251;
            }
            if (bringer_1 == 3u) {
                Block _e258 = codes;
                metal::float4 _e259 = weight_7_(_e258, _e177);
                weights_here.inner[448u + brought] = _e259;
            }
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            uint _e260 = block;
            uint next = metal::min(_e260 + 1u, blocks_2 - 1u);
            Block _e268 = load_wanted((tile_3 * blocks_2) + next, lane_5, bringer_1, weight_codes, _buffer_sizes);
            codes = _e268;
            RawScale _e270 = raw_scale(tile_3, next, blocks_2, 0u, lane_5, weight_scales, _buffer_sizes);
            raw_0_ = _e270;
            metal::float4 _e276 = input_quad(row_at_0_, (next * 32u) + (quad_ * 4u), x, params, _buffer_sizes);
            x_0_ = _e276;
            metal::float4 _e282 = input_quad(row_at_1_, (next * 32u) + (quad_ * 4u), x, params, _buffer_sizes);
            x_1_ = _e282;
            {
                metal::float4 w_0_ = weights_here.inner[0u + feature_1];
                metal::float4 w_1_ = weights_here.inner[16u + feature_1];
                metal::float4 w_2_ = weights_here.inner[32u + feature_1];
                metal::float4 w_3_ = weights_here.inner[48u + feature_1];
                metal::float4 v_0_ = inputs.inner[0u + (row_1 ^ 0u)];
                float _e312 = total_0_0_;
                total_0_0_ = metal::fma(w_0_.x, v_0_.x, _e312);
                float _e316 = total_0_1_;
                total_0_1_ = metal::fma(w_1_.x, v_0_.x, _e316);
                float _e320 = total_0_2_;
                total_0_2_ = metal::fma(w_2_.x, v_0_.x, _e320);
                float _e324 = total_0_3_;
                total_0_3_ = metal::fma(w_3_.x, v_0_.x, _e324);
                float _e328 = total_0_0_;
                total_0_0_ = metal::fma(w_0_.y, v_0_.y, _e328);
                float _e332 = total_0_1_;
                total_0_1_ = metal::fma(w_1_.y, v_0_.y, _e332);
                float _e336 = total_0_2_;
                total_0_2_ = metal::fma(w_2_.y, v_0_.y, _e336);
                float _e340 = total_0_3_;
                total_0_3_ = metal::fma(w_3_.y, v_0_.y, _e340);
                float _e344 = total_0_0_;
                total_0_0_ = metal::fma(w_0_.z, v_0_.z, _e344);
                float _e348 = total_0_1_;
                total_0_1_ = metal::fma(w_1_.z, v_0_.z, _e348);
                float _e352 = total_0_2_;
                total_0_2_ = metal::fma(w_2_.z, v_0_.z, _e352);
                float _e356 = total_0_3_;
                total_0_3_ = metal::fma(w_3_.z, v_0_.z, _e356);
                float _e360 = total_0_0_;
                total_0_0_ = metal::fma(w_0_.w, v_0_.w, _e360);
                float _e364 = total_0_1_;
                total_0_1_ = metal::fma(w_1_.w, v_0_.w, _e364);
                float _e368 = total_0_2_;
                total_0_2_ = metal::fma(w_2_.w, v_0_.w, _e368);
                float _e372 = total_0_3_;
                total_0_3_ = metal::fma(w_3_.w, v_0_.w, _e372);
                metal::float4 v_1_ = inputs.inner[16u + (row_1 ^ 0u)];
                float _e383 = total_1_0_;
                total_1_0_ = metal::fma(w_0_.x, v_1_.x, _e383);
                float _e387 = total_1_1_;
                total_1_1_ = metal::fma(w_1_.x, v_1_.x, _e387);
                float _e391 = total_1_2_;
                total_1_2_ = metal::fma(w_2_.x, v_1_.x, _e391);
                float _e395 = total_1_3_;
                total_1_3_ = metal::fma(w_3_.x, v_1_.x, _e395);
                float _e399 = total_1_0_;
                total_1_0_ = metal::fma(w_0_.y, v_1_.y, _e399);
                float _e403 = total_1_1_;
                total_1_1_ = metal::fma(w_1_.y, v_1_.y, _e403);
                float _e407 = total_1_2_;
                total_1_2_ = metal::fma(w_2_.y, v_1_.y, _e407);
                float _e411 = total_1_3_;
                total_1_3_ = metal::fma(w_3_.y, v_1_.y, _e411);
                float _e415 = total_1_0_;
                total_1_0_ = metal::fma(w_0_.z, v_1_.z, _e415);
                float _e419 = total_1_1_;
                total_1_1_ = metal::fma(w_1_.z, v_1_.z, _e419);
                float _e423 = total_1_2_;
                total_1_2_ = metal::fma(w_2_.z, v_1_.z, _e423);
                float _e427 = total_1_3_;
                total_1_3_ = metal::fma(w_3_.z, v_1_.z, _e427);
                float _e431 = total_1_0_;
                total_1_0_ = metal::fma(w_0_.w, v_1_.w, _e431);
                float _e435 = total_1_1_;
                total_1_1_ = metal::fma(w_1_.w, v_1_.w, _e435);
                float _e439 = total_1_2_;
                total_1_2_ = metal::fma(w_2_.w, v_1_.w, _e439);
                float _e443 = total_1_3_;
                total_1_3_ = metal::fma(w_3_.w, v_1_.w, _e443);
                metal::float4 v_2_ = inputs.inner[32u + (row_1 ^ 0u)];
                float _e454 = total_2_0_;
                total_2_0_ = metal::fma(w_0_.x, v_2_.x, _e454);
                float _e458 = total_2_1_;
                total_2_1_ = metal::fma(w_1_.x, v_2_.x, _e458);
                float _e462 = total_2_2_;
                total_2_2_ = metal::fma(w_2_.x, v_2_.x, _e462);
                float _e466 = total_2_3_;
                total_2_3_ = metal::fma(w_3_.x, v_2_.x, _e466);
                float _e470 = total_2_0_;
                total_2_0_ = metal::fma(w_0_.y, v_2_.y, _e470);
                float _e474 = total_2_1_;
                total_2_1_ = metal::fma(w_1_.y, v_2_.y, _e474);
                float _e478 = total_2_2_;
                total_2_2_ = metal::fma(w_2_.y, v_2_.y, _e478);
                float _e482 = total_2_3_;
                total_2_3_ = metal::fma(w_3_.y, v_2_.y, _e482);
                float _e486 = total_2_0_;
                total_2_0_ = metal::fma(w_0_.z, v_2_.z, _e486);
                float _e490 = total_2_1_;
                total_2_1_ = metal::fma(w_1_.z, v_2_.z, _e490);
                float _e494 = total_2_2_;
                total_2_2_ = metal::fma(w_2_.z, v_2_.z, _e494);
                float _e498 = total_2_3_;
                total_2_3_ = metal::fma(w_3_.z, v_2_.z, _e498);
                float _e502 = total_2_0_;
                total_2_0_ = metal::fma(w_0_.w, v_2_.w, _e502);
                float _e506 = total_2_1_;
                total_2_1_ = metal::fma(w_1_.w, v_2_.w, _e506);
                float _e510 = total_2_2_;
                total_2_2_ = metal::fma(w_2_.w, v_2_.w, _e510);
                float _e514 = total_2_3_;
                total_2_3_ = metal::fma(w_3_.w, v_2_.w, _e514);
                metal::float4 v_3_ = inputs.inner[48u + (row_1 ^ 0u)];
                float _e525 = total_3_0_;
                total_3_0_ = metal::fma(w_0_.x, v_3_.x, _e525);
                float _e529 = total_3_1_;
                total_3_1_ = metal::fma(w_1_.x, v_3_.x, _e529);
                float _e533 = total_3_2_;
                total_3_2_ = metal::fma(w_2_.x, v_3_.x, _e533);
                float _e537 = total_3_3_;
                total_3_3_ = metal::fma(w_3_.x, v_3_.x, _e537);
                float _e541 = total_3_0_;
                total_3_0_ = metal::fma(w_0_.y, v_3_.y, _e541);
                float _e545 = total_3_1_;
                total_3_1_ = metal::fma(w_1_.y, v_3_.y, _e545);
                float _e549 = total_3_2_;
                total_3_2_ = metal::fma(w_2_.y, v_3_.y, _e549);
                float _e553 = total_3_3_;
                total_3_3_ = metal::fma(w_3_.y, v_3_.y, _e553);
                float _e557 = total_3_0_;
                total_3_0_ = metal::fma(w_0_.z, v_3_.z, _e557);
                float _e561 = total_3_1_;
                total_3_1_ = metal::fma(w_1_.z, v_3_.z, _e561);
                float _e565 = total_3_2_;
                total_3_2_ = metal::fma(w_2_.z, v_3_.z, _e565);
                float _e569 = total_3_3_;
                total_3_3_ = metal::fma(w_3_.z, v_3_.z, _e569);
                float _e573 = total_3_0_;
                total_3_0_ = metal::fma(w_0_.w, v_3_.w, _e573);
                float _e577 = total_3_1_;
                total_3_1_ = metal::fma(w_1_.w, v_3_.w, _e577);
                float _e581 = total_3_2_;
                total_3_2_ = metal::fma(w_2_.w, v_3_.w, _e581);
                float _e585 = total_3_3_;
                total_3_3_ = metal::fma(w_3_.w, v_3_.w, _e585);
            }
            {
                metal::float4 w_0_1 = weights_here.inner[64u + feature_1];
                metal::float4 w_1_1 = weights_here.inner[80u + feature_1];
                metal::float4 w_2_1 = weights_here.inner[96u + feature_1];
                metal::float4 w_3_1 = weights_here.inner[112u + feature_1];
                metal::float4 v_0_1 = inputs.inner[64u + (row_1 ^ 1u)];
                float _e616 = total_0_0_;
                total_0_0_ = metal::fma(w_0_1.x, v_0_1.x, _e616);
                float _e620 = total_0_1_;
                total_0_1_ = metal::fma(w_1_1.x, v_0_1.x, _e620);
                float _e624 = total_0_2_;
                total_0_2_ = metal::fma(w_2_1.x, v_0_1.x, _e624);
                float _e628 = total_0_3_;
                total_0_3_ = metal::fma(w_3_1.x, v_0_1.x, _e628);
                float _e632 = total_0_0_;
                total_0_0_ = metal::fma(w_0_1.y, v_0_1.y, _e632);
                float _e636 = total_0_1_;
                total_0_1_ = metal::fma(w_1_1.y, v_0_1.y, _e636);
                float _e640 = total_0_2_;
                total_0_2_ = metal::fma(w_2_1.y, v_0_1.y, _e640);
                float _e644 = total_0_3_;
                total_0_3_ = metal::fma(w_3_1.y, v_0_1.y, _e644);
                float _e648 = total_0_0_;
                total_0_0_ = metal::fma(w_0_1.z, v_0_1.z, _e648);
                float _e652 = total_0_1_;
                total_0_1_ = metal::fma(w_1_1.z, v_0_1.z, _e652);
                float _e656 = total_0_2_;
                total_0_2_ = metal::fma(w_2_1.z, v_0_1.z, _e656);
                float _e660 = total_0_3_;
                total_0_3_ = metal::fma(w_3_1.z, v_0_1.z, _e660);
                float _e664 = total_0_0_;
                total_0_0_ = metal::fma(w_0_1.w, v_0_1.w, _e664);
                float _e668 = total_0_1_;
                total_0_1_ = metal::fma(w_1_1.w, v_0_1.w, _e668);
                float _e672 = total_0_2_;
                total_0_2_ = metal::fma(w_2_1.w, v_0_1.w, _e672);
                float _e676 = total_0_3_;
                total_0_3_ = metal::fma(w_3_1.w, v_0_1.w, _e676);
                metal::float4 v_1_1 = inputs.inner[80u + (row_1 ^ 1u)];
                float _e687 = total_1_0_;
                total_1_0_ = metal::fma(w_0_1.x, v_1_1.x, _e687);
                float _e691 = total_1_1_;
                total_1_1_ = metal::fma(w_1_1.x, v_1_1.x, _e691);
                float _e695 = total_1_2_;
                total_1_2_ = metal::fma(w_2_1.x, v_1_1.x, _e695);
                float _e699 = total_1_3_;
                total_1_3_ = metal::fma(w_3_1.x, v_1_1.x, _e699);
                float _e703 = total_1_0_;
                total_1_0_ = metal::fma(w_0_1.y, v_1_1.y, _e703);
                float _e707 = total_1_1_;
                total_1_1_ = metal::fma(w_1_1.y, v_1_1.y, _e707);
                float _e711 = total_1_2_;
                total_1_2_ = metal::fma(w_2_1.y, v_1_1.y, _e711);
                float _e715 = total_1_3_;
                total_1_3_ = metal::fma(w_3_1.y, v_1_1.y, _e715);
                float _e719 = total_1_0_;
                total_1_0_ = metal::fma(w_0_1.z, v_1_1.z, _e719);
                float _e723 = total_1_1_;
                total_1_1_ = metal::fma(w_1_1.z, v_1_1.z, _e723);
                float _e727 = total_1_2_;
                total_1_2_ = metal::fma(w_2_1.z, v_1_1.z, _e727);
                float _e731 = total_1_3_;
                total_1_3_ = metal::fma(w_3_1.z, v_1_1.z, _e731);
                float _e735 = total_1_0_;
                total_1_0_ = metal::fma(w_0_1.w, v_1_1.w, _e735);
                float _e739 = total_1_1_;
                total_1_1_ = metal::fma(w_1_1.w, v_1_1.w, _e739);
                float _e743 = total_1_2_;
                total_1_2_ = metal::fma(w_2_1.w, v_1_1.w, _e743);
                float _e747 = total_1_3_;
                total_1_3_ = metal::fma(w_3_1.w, v_1_1.w, _e747);
                metal::float4 v_2_1 = inputs.inner[96u + (row_1 ^ 1u)];
                float _e758 = total_2_0_;
                total_2_0_ = metal::fma(w_0_1.x, v_2_1.x, _e758);
                float _e762 = total_2_1_;
                total_2_1_ = metal::fma(w_1_1.x, v_2_1.x, _e762);
                float _e766 = total_2_2_;
                total_2_2_ = metal::fma(w_2_1.x, v_2_1.x, _e766);
                float _e770 = total_2_3_;
                total_2_3_ = metal::fma(w_3_1.x, v_2_1.x, _e770);
                float _e774 = total_2_0_;
                total_2_0_ = metal::fma(w_0_1.y, v_2_1.y, _e774);
                float _e778 = total_2_1_;
                total_2_1_ = metal::fma(w_1_1.y, v_2_1.y, _e778);
                float _e782 = total_2_2_;
                total_2_2_ = metal::fma(w_2_1.y, v_2_1.y, _e782);
                float _e786 = total_2_3_;
                total_2_3_ = metal::fma(w_3_1.y, v_2_1.y, _e786);
                float _e790 = total_2_0_;
                total_2_0_ = metal::fma(w_0_1.z, v_2_1.z, _e790);
                float _e794 = total_2_1_;
                total_2_1_ = metal::fma(w_1_1.z, v_2_1.z, _e794);
                float _e798 = total_2_2_;
                total_2_2_ = metal::fma(w_2_1.z, v_2_1.z, _e798);
                float _e802 = total_2_3_;
                total_2_3_ = metal::fma(w_3_1.z, v_2_1.z, _e802);
                float _e806 = total_2_0_;
                total_2_0_ = metal::fma(w_0_1.w, v_2_1.w, _e806);
                float _e810 = total_2_1_;
                total_2_1_ = metal::fma(w_1_1.w, v_2_1.w, _e810);
                float _e814 = total_2_2_;
                total_2_2_ = metal::fma(w_2_1.w, v_2_1.w, _e814);
                float _e818 = total_2_3_;
                total_2_3_ = metal::fma(w_3_1.w, v_2_1.w, _e818);
                metal::float4 v_3_1 = inputs.inner[112u + (row_1 ^ 1u)];
                float _e829 = total_3_0_;
                total_3_0_ = metal::fma(w_0_1.x, v_3_1.x, _e829);
                float _e833 = total_3_1_;
                total_3_1_ = metal::fma(w_1_1.x, v_3_1.x, _e833);
                float _e837 = total_3_2_;
                total_3_2_ = metal::fma(w_2_1.x, v_3_1.x, _e837);
                float _e841 = total_3_3_;
                total_3_3_ = metal::fma(w_3_1.x, v_3_1.x, _e841);
                float _e845 = total_3_0_;
                total_3_0_ = metal::fma(w_0_1.y, v_3_1.y, _e845);
                float _e849 = total_3_1_;
                total_3_1_ = metal::fma(w_1_1.y, v_3_1.y, _e849);
                float _e853 = total_3_2_;
                total_3_2_ = metal::fma(w_2_1.y, v_3_1.y, _e853);
                float _e857 = total_3_3_;
                total_3_3_ = metal::fma(w_3_1.y, v_3_1.y, _e857);
                float _e861 = total_3_0_;
                total_3_0_ = metal::fma(w_0_1.z, v_3_1.z, _e861);
                float _e865 = total_3_1_;
                total_3_1_ = metal::fma(w_1_1.z, v_3_1.z, _e865);
                float _e869 = total_3_2_;
                total_3_2_ = metal::fma(w_2_1.z, v_3_1.z, _e869);
                float _e873 = total_3_3_;
                total_3_3_ = metal::fma(w_3_1.z, v_3_1.z, _e873);
                float _e877 = total_3_0_;
                total_3_0_ = metal::fma(w_0_1.w, v_3_1.w, _e877);
                float _e881 = total_3_1_;
                total_3_1_ = metal::fma(w_1_1.w, v_3_1.w, _e881);
                float _e885 = total_3_2_;
                total_3_2_ = metal::fma(w_2_1.w, v_3_1.w, _e885);
                float _e889 = total_3_3_;
                total_3_3_ = metal::fma(w_3_1.w, v_3_1.w, _e889);
            }
            {
                metal::float4 w_0_2 = weights_here.inner[128u + feature_1];
                metal::float4 w_1_2 = weights_here.inner[144u + feature_1];
                metal::float4 w_2_2 = weights_here.inner[160u + feature_1];
                metal::float4 w_3_2 = weights_here.inner[176u + feature_1];
                metal::float4 v_0_2 = inputs.inner[128u + (row_1 ^ 2u)];
                float _e920 = total_0_0_;
                total_0_0_ = metal::fma(w_0_2.x, v_0_2.x, _e920);
                float _e924 = total_0_1_;
                total_0_1_ = metal::fma(w_1_2.x, v_0_2.x, _e924);
                float _e928 = total_0_2_;
                total_0_2_ = metal::fma(w_2_2.x, v_0_2.x, _e928);
                float _e932 = total_0_3_;
                total_0_3_ = metal::fma(w_3_2.x, v_0_2.x, _e932);
                float _e936 = total_0_0_;
                total_0_0_ = metal::fma(w_0_2.y, v_0_2.y, _e936);
                float _e940 = total_0_1_;
                total_0_1_ = metal::fma(w_1_2.y, v_0_2.y, _e940);
                float _e944 = total_0_2_;
                total_0_2_ = metal::fma(w_2_2.y, v_0_2.y, _e944);
                float _e948 = total_0_3_;
                total_0_3_ = metal::fma(w_3_2.y, v_0_2.y, _e948);
                float _e952 = total_0_0_;
                total_0_0_ = metal::fma(w_0_2.z, v_0_2.z, _e952);
                float _e956 = total_0_1_;
                total_0_1_ = metal::fma(w_1_2.z, v_0_2.z, _e956);
                float _e960 = total_0_2_;
                total_0_2_ = metal::fma(w_2_2.z, v_0_2.z, _e960);
                float _e964 = total_0_3_;
                total_0_3_ = metal::fma(w_3_2.z, v_0_2.z, _e964);
                float _e968 = total_0_0_;
                total_0_0_ = metal::fma(w_0_2.w, v_0_2.w, _e968);
                float _e972 = total_0_1_;
                total_0_1_ = metal::fma(w_1_2.w, v_0_2.w, _e972);
                float _e976 = total_0_2_;
                total_0_2_ = metal::fma(w_2_2.w, v_0_2.w, _e976);
                float _e980 = total_0_3_;
                total_0_3_ = metal::fma(w_3_2.w, v_0_2.w, _e980);
                metal::float4 v_1_2 = inputs.inner[144u + (row_1 ^ 2u)];
                float _e991 = total_1_0_;
                total_1_0_ = metal::fma(w_0_2.x, v_1_2.x, _e991);
                float _e995 = total_1_1_;
                total_1_1_ = metal::fma(w_1_2.x, v_1_2.x, _e995);
                float _e999 = total_1_2_;
                total_1_2_ = metal::fma(w_2_2.x, v_1_2.x, _e999);
                float _e1003 = total_1_3_;
                total_1_3_ = metal::fma(w_3_2.x, v_1_2.x, _e1003);
                float _e1007 = total_1_0_;
                total_1_0_ = metal::fma(w_0_2.y, v_1_2.y, _e1007);
                float _e1011 = total_1_1_;
                total_1_1_ = metal::fma(w_1_2.y, v_1_2.y, _e1011);
                float _e1015 = total_1_2_;
                total_1_2_ = metal::fma(w_2_2.y, v_1_2.y, _e1015);
                float _e1019 = total_1_3_;
                total_1_3_ = metal::fma(w_3_2.y, v_1_2.y, _e1019);
                float _e1023 = total_1_0_;
                total_1_0_ = metal::fma(w_0_2.z, v_1_2.z, _e1023);
                float _e1027 = total_1_1_;
                total_1_1_ = metal::fma(w_1_2.z, v_1_2.z, _e1027);
                float _e1031 = total_1_2_;
                total_1_2_ = metal::fma(w_2_2.z, v_1_2.z, _e1031);
                float _e1035 = total_1_3_;
                total_1_3_ = metal::fma(w_3_2.z, v_1_2.z, _e1035);
                float _e1039 = total_1_0_;
                total_1_0_ = metal::fma(w_0_2.w, v_1_2.w, _e1039);
                float _e1043 = total_1_1_;
                total_1_1_ = metal::fma(w_1_2.w, v_1_2.w, _e1043);
                float _e1047 = total_1_2_;
                total_1_2_ = metal::fma(w_2_2.w, v_1_2.w, _e1047);
                float _e1051 = total_1_3_;
                total_1_3_ = metal::fma(w_3_2.w, v_1_2.w, _e1051);
                metal::float4 v_2_2 = inputs.inner[160u + (row_1 ^ 2u)];
                float _e1062 = total_2_0_;
                total_2_0_ = metal::fma(w_0_2.x, v_2_2.x, _e1062);
                float _e1066 = total_2_1_;
                total_2_1_ = metal::fma(w_1_2.x, v_2_2.x, _e1066);
                float _e1070 = total_2_2_;
                total_2_2_ = metal::fma(w_2_2.x, v_2_2.x, _e1070);
                float _e1074 = total_2_3_;
                total_2_3_ = metal::fma(w_3_2.x, v_2_2.x, _e1074);
                float _e1078 = total_2_0_;
                total_2_0_ = metal::fma(w_0_2.y, v_2_2.y, _e1078);
                float _e1082 = total_2_1_;
                total_2_1_ = metal::fma(w_1_2.y, v_2_2.y, _e1082);
                float _e1086 = total_2_2_;
                total_2_2_ = metal::fma(w_2_2.y, v_2_2.y, _e1086);
                float _e1090 = total_2_3_;
                total_2_3_ = metal::fma(w_3_2.y, v_2_2.y, _e1090);
                float _e1094 = total_2_0_;
                total_2_0_ = metal::fma(w_0_2.z, v_2_2.z, _e1094);
                float _e1098 = total_2_1_;
                total_2_1_ = metal::fma(w_1_2.z, v_2_2.z, _e1098);
                float _e1102 = total_2_2_;
                total_2_2_ = metal::fma(w_2_2.z, v_2_2.z, _e1102);
                float _e1106 = total_2_3_;
                total_2_3_ = metal::fma(w_3_2.z, v_2_2.z, _e1106);
                float _e1110 = total_2_0_;
                total_2_0_ = metal::fma(w_0_2.w, v_2_2.w, _e1110);
                float _e1114 = total_2_1_;
                total_2_1_ = metal::fma(w_1_2.w, v_2_2.w, _e1114);
                float _e1118 = total_2_2_;
                total_2_2_ = metal::fma(w_2_2.w, v_2_2.w, _e1118);
                float _e1122 = total_2_3_;
                total_2_3_ = metal::fma(w_3_2.w, v_2_2.w, _e1122);
                metal::float4 v_3_2 = inputs.inner[176u + (row_1 ^ 2u)];
                float _e1133 = total_3_0_;
                total_3_0_ = metal::fma(w_0_2.x, v_3_2.x, _e1133);
                float _e1137 = total_3_1_;
                total_3_1_ = metal::fma(w_1_2.x, v_3_2.x, _e1137);
                float _e1141 = total_3_2_;
                total_3_2_ = metal::fma(w_2_2.x, v_3_2.x, _e1141);
                float _e1145 = total_3_3_;
                total_3_3_ = metal::fma(w_3_2.x, v_3_2.x, _e1145);
                float _e1149 = total_3_0_;
                total_3_0_ = metal::fma(w_0_2.y, v_3_2.y, _e1149);
                float _e1153 = total_3_1_;
                total_3_1_ = metal::fma(w_1_2.y, v_3_2.y, _e1153);
                float _e1157 = total_3_2_;
                total_3_2_ = metal::fma(w_2_2.y, v_3_2.y, _e1157);
                float _e1161 = total_3_3_;
                total_3_3_ = metal::fma(w_3_2.y, v_3_2.y, _e1161);
                float _e1165 = total_3_0_;
                total_3_0_ = metal::fma(w_0_2.z, v_3_2.z, _e1165);
                float _e1169 = total_3_1_;
                total_3_1_ = metal::fma(w_1_2.z, v_3_2.z, _e1169);
                float _e1173 = total_3_2_;
                total_3_2_ = metal::fma(w_2_2.z, v_3_2.z, _e1173);
                float _e1177 = total_3_3_;
                total_3_3_ = metal::fma(w_3_2.z, v_3_2.z, _e1177);
                float _e1181 = total_3_0_;
                total_3_0_ = metal::fma(w_0_2.w, v_3_2.w, _e1181);
                float _e1185 = total_3_1_;
                total_3_1_ = metal::fma(w_1_2.w, v_3_2.w, _e1185);
                float _e1189 = total_3_2_;
                total_3_2_ = metal::fma(w_2_2.w, v_3_2.w, _e1189);
                float _e1193 = total_3_3_;
                total_3_3_ = metal::fma(w_3_2.w, v_3_2.w, _e1193);
            }
            {
                metal::float4 w_0_3 = weights_here.inner[192u + feature_1];
                metal::float4 w_1_3 = weights_here.inner[208u + feature_1];
                metal::float4 w_2_3 = weights_here.inner[224u + feature_1];
                metal::float4 w_3_3 = weights_here.inner[240u + feature_1];
                metal::float4 v_0_3 = inputs.inner[192u + (row_1 ^ 3u)];
                float _e1224 = total_0_0_;
                total_0_0_ = metal::fma(w_0_3.x, v_0_3.x, _e1224);
                float _e1228 = total_0_1_;
                total_0_1_ = metal::fma(w_1_3.x, v_0_3.x, _e1228);
                float _e1232 = total_0_2_;
                total_0_2_ = metal::fma(w_2_3.x, v_0_3.x, _e1232);
                float _e1236 = total_0_3_;
                total_0_3_ = metal::fma(w_3_3.x, v_0_3.x, _e1236);
                float _e1240 = total_0_0_;
                total_0_0_ = metal::fma(w_0_3.y, v_0_3.y, _e1240);
                float _e1244 = total_0_1_;
                total_0_1_ = metal::fma(w_1_3.y, v_0_3.y, _e1244);
                float _e1248 = total_0_2_;
                total_0_2_ = metal::fma(w_2_3.y, v_0_3.y, _e1248);
                float _e1252 = total_0_3_;
                total_0_3_ = metal::fma(w_3_3.y, v_0_3.y, _e1252);
                float _e1256 = total_0_0_;
                total_0_0_ = metal::fma(w_0_3.z, v_0_3.z, _e1256);
                float _e1260 = total_0_1_;
                total_0_1_ = metal::fma(w_1_3.z, v_0_3.z, _e1260);
                float _e1264 = total_0_2_;
                total_0_2_ = metal::fma(w_2_3.z, v_0_3.z, _e1264);
                float _e1268 = total_0_3_;
                total_0_3_ = metal::fma(w_3_3.z, v_0_3.z, _e1268);
                float _e1272 = total_0_0_;
                total_0_0_ = metal::fma(w_0_3.w, v_0_3.w, _e1272);
                float _e1276 = total_0_1_;
                total_0_1_ = metal::fma(w_1_3.w, v_0_3.w, _e1276);
                float _e1280 = total_0_2_;
                total_0_2_ = metal::fma(w_2_3.w, v_0_3.w, _e1280);
                float _e1284 = total_0_3_;
                total_0_3_ = metal::fma(w_3_3.w, v_0_3.w, _e1284);
                metal::float4 v_1_3 = inputs.inner[208u + (row_1 ^ 3u)];
                float _e1295 = total_1_0_;
                total_1_0_ = metal::fma(w_0_3.x, v_1_3.x, _e1295);
                float _e1299 = total_1_1_;
                total_1_1_ = metal::fma(w_1_3.x, v_1_3.x, _e1299);
                float _e1303 = total_1_2_;
                total_1_2_ = metal::fma(w_2_3.x, v_1_3.x, _e1303);
                float _e1307 = total_1_3_;
                total_1_3_ = metal::fma(w_3_3.x, v_1_3.x, _e1307);
                float _e1311 = total_1_0_;
                total_1_0_ = metal::fma(w_0_3.y, v_1_3.y, _e1311);
                float _e1315 = total_1_1_;
                total_1_1_ = metal::fma(w_1_3.y, v_1_3.y, _e1315);
                float _e1319 = total_1_2_;
                total_1_2_ = metal::fma(w_2_3.y, v_1_3.y, _e1319);
                float _e1323 = total_1_3_;
                total_1_3_ = metal::fma(w_3_3.y, v_1_3.y, _e1323);
                float _e1327 = total_1_0_;
                total_1_0_ = metal::fma(w_0_3.z, v_1_3.z, _e1327);
                float _e1331 = total_1_1_;
                total_1_1_ = metal::fma(w_1_3.z, v_1_3.z, _e1331);
                float _e1335 = total_1_2_;
                total_1_2_ = metal::fma(w_2_3.z, v_1_3.z, _e1335);
                float _e1339 = total_1_3_;
                total_1_3_ = metal::fma(w_3_3.z, v_1_3.z, _e1339);
                float _e1343 = total_1_0_;
                total_1_0_ = metal::fma(w_0_3.w, v_1_3.w, _e1343);
                float _e1347 = total_1_1_;
                total_1_1_ = metal::fma(w_1_3.w, v_1_3.w, _e1347);
                float _e1351 = total_1_2_;
                total_1_2_ = metal::fma(w_2_3.w, v_1_3.w, _e1351);
                float _e1355 = total_1_3_;
                total_1_3_ = metal::fma(w_3_3.w, v_1_3.w, _e1355);
                metal::float4 v_2_3 = inputs.inner[224u + (row_1 ^ 3u)];
                float _e1366 = total_2_0_;
                total_2_0_ = metal::fma(w_0_3.x, v_2_3.x, _e1366);
                float _e1370 = total_2_1_;
                total_2_1_ = metal::fma(w_1_3.x, v_2_3.x, _e1370);
                float _e1374 = total_2_2_;
                total_2_2_ = metal::fma(w_2_3.x, v_2_3.x, _e1374);
                float _e1378 = total_2_3_;
                total_2_3_ = metal::fma(w_3_3.x, v_2_3.x, _e1378);
                float _e1382 = total_2_0_;
                total_2_0_ = metal::fma(w_0_3.y, v_2_3.y, _e1382);
                float _e1386 = total_2_1_;
                total_2_1_ = metal::fma(w_1_3.y, v_2_3.y, _e1386);
                float _e1390 = total_2_2_;
                total_2_2_ = metal::fma(w_2_3.y, v_2_3.y, _e1390);
                float _e1394 = total_2_3_;
                total_2_3_ = metal::fma(w_3_3.y, v_2_3.y, _e1394);
                float _e1398 = total_2_0_;
                total_2_0_ = metal::fma(w_0_3.z, v_2_3.z, _e1398);
                float _e1402 = total_2_1_;
                total_2_1_ = metal::fma(w_1_3.z, v_2_3.z, _e1402);
                float _e1406 = total_2_2_;
                total_2_2_ = metal::fma(w_2_3.z, v_2_3.z, _e1406);
                float _e1410 = total_2_3_;
                total_2_3_ = metal::fma(w_3_3.z, v_2_3.z, _e1410);
                float _e1414 = total_2_0_;
                total_2_0_ = metal::fma(w_0_3.w, v_2_3.w, _e1414);
                float _e1418 = total_2_1_;
                total_2_1_ = metal::fma(w_1_3.w, v_2_3.w, _e1418);
                float _e1422 = total_2_2_;
                total_2_2_ = metal::fma(w_2_3.w, v_2_3.w, _e1422);
                float _e1426 = total_2_3_;
                total_2_3_ = metal::fma(w_3_3.w, v_2_3.w, _e1426);
                metal::float4 v_3_3 = inputs.inner[240u + (row_1 ^ 3u)];
                float _e1437 = total_3_0_;
                total_3_0_ = metal::fma(w_0_3.x, v_3_3.x, _e1437);
                float _e1441 = total_3_1_;
                total_3_1_ = metal::fma(w_1_3.x, v_3_3.x, _e1441);
                float _e1445 = total_3_2_;
                total_3_2_ = metal::fma(w_2_3.x, v_3_3.x, _e1445);
                float _e1449 = total_3_3_;
                total_3_3_ = metal::fma(w_3_3.x, v_3_3.x, _e1449);
                float _e1453 = total_3_0_;
                total_3_0_ = metal::fma(w_0_3.y, v_3_3.y, _e1453);
                float _e1457 = total_3_1_;
                total_3_1_ = metal::fma(w_1_3.y, v_3_3.y, _e1457);
                float _e1461 = total_3_2_;
                total_3_2_ = metal::fma(w_2_3.y, v_3_3.y, _e1461);
                float _e1465 = total_3_3_;
                total_3_3_ = metal::fma(w_3_3.y, v_3_3.y, _e1465);
                float _e1469 = total_3_0_;
                total_3_0_ = metal::fma(w_0_3.z, v_3_3.z, _e1469);
                float _e1473 = total_3_1_;
                total_3_1_ = metal::fma(w_1_3.z, v_3_3.z, _e1473);
                float _e1477 = total_3_2_;
                total_3_2_ = metal::fma(w_2_3.z, v_3_3.z, _e1477);
                float _e1481 = total_3_3_;
                total_3_3_ = metal::fma(w_3_3.z, v_3_3.z, _e1481);
                float _e1485 = total_3_0_;
                total_3_0_ = metal::fma(w_0_3.w, v_3_3.w, _e1485);
                float _e1489 = total_3_1_;
                total_3_1_ = metal::fma(w_1_3.w, v_3_3.w, _e1489);
                float _e1493 = total_3_2_;
                total_3_2_ = metal::fma(w_2_3.w, v_3_3.w, _e1493);
                float _e1497 = total_3_3_;
                total_3_3_ = metal::fma(w_3_3.w, v_3_3.w, _e1497);
            }
            {
                metal::float4 w_0_4 = weights_here.inner[256u + feature_1];
                metal::float4 w_1_4 = weights_here.inner[272u + feature_1];
                metal::float4 w_2_4 = weights_here.inner[288u + feature_1];
                metal::float4 w_3_4 = weights_here.inner[304u + feature_1];
                metal::float4 v_0_4 = inputs.inner[256u + (row_1 ^ 4u)];
                float _e1528 = total_0_0_;
                total_0_0_ = metal::fma(w_0_4.x, v_0_4.x, _e1528);
                float _e1532 = total_0_1_;
                total_0_1_ = metal::fma(w_1_4.x, v_0_4.x, _e1532);
                float _e1536 = total_0_2_;
                total_0_2_ = metal::fma(w_2_4.x, v_0_4.x, _e1536);
                float _e1540 = total_0_3_;
                total_0_3_ = metal::fma(w_3_4.x, v_0_4.x, _e1540);
                float _e1544 = total_0_0_;
                total_0_0_ = metal::fma(w_0_4.y, v_0_4.y, _e1544);
                float _e1548 = total_0_1_;
                total_0_1_ = metal::fma(w_1_4.y, v_0_4.y, _e1548);
                float _e1552 = total_0_2_;
                total_0_2_ = metal::fma(w_2_4.y, v_0_4.y, _e1552);
                float _e1556 = total_0_3_;
                total_0_3_ = metal::fma(w_3_4.y, v_0_4.y, _e1556);
                float _e1560 = total_0_0_;
                total_0_0_ = metal::fma(w_0_4.z, v_0_4.z, _e1560);
                float _e1564 = total_0_1_;
                total_0_1_ = metal::fma(w_1_4.z, v_0_4.z, _e1564);
                float _e1568 = total_0_2_;
                total_0_2_ = metal::fma(w_2_4.z, v_0_4.z, _e1568);
                float _e1572 = total_0_3_;
                total_0_3_ = metal::fma(w_3_4.z, v_0_4.z, _e1572);
                float _e1576 = total_0_0_;
                total_0_0_ = metal::fma(w_0_4.w, v_0_4.w, _e1576);
                float _e1580 = total_0_1_;
                total_0_1_ = metal::fma(w_1_4.w, v_0_4.w, _e1580);
                float _e1584 = total_0_2_;
                total_0_2_ = metal::fma(w_2_4.w, v_0_4.w, _e1584);
                float _e1588 = total_0_3_;
                total_0_3_ = metal::fma(w_3_4.w, v_0_4.w, _e1588);
                metal::float4 v_1_4 = inputs.inner[272u + (row_1 ^ 4u)];
                float _e1599 = total_1_0_;
                total_1_0_ = metal::fma(w_0_4.x, v_1_4.x, _e1599);
                float _e1603 = total_1_1_;
                total_1_1_ = metal::fma(w_1_4.x, v_1_4.x, _e1603);
                float _e1607 = total_1_2_;
                total_1_2_ = metal::fma(w_2_4.x, v_1_4.x, _e1607);
                float _e1611 = total_1_3_;
                total_1_3_ = metal::fma(w_3_4.x, v_1_4.x, _e1611);
                float _e1615 = total_1_0_;
                total_1_0_ = metal::fma(w_0_4.y, v_1_4.y, _e1615);
                float _e1619 = total_1_1_;
                total_1_1_ = metal::fma(w_1_4.y, v_1_4.y, _e1619);
                float _e1623 = total_1_2_;
                total_1_2_ = metal::fma(w_2_4.y, v_1_4.y, _e1623);
                float _e1627 = total_1_3_;
                total_1_3_ = metal::fma(w_3_4.y, v_1_4.y, _e1627);
                float _e1631 = total_1_0_;
                total_1_0_ = metal::fma(w_0_4.z, v_1_4.z, _e1631);
                float _e1635 = total_1_1_;
                total_1_1_ = metal::fma(w_1_4.z, v_1_4.z, _e1635);
                float _e1639 = total_1_2_;
                total_1_2_ = metal::fma(w_2_4.z, v_1_4.z, _e1639);
                float _e1643 = total_1_3_;
                total_1_3_ = metal::fma(w_3_4.z, v_1_4.z, _e1643);
                float _e1647 = total_1_0_;
                total_1_0_ = metal::fma(w_0_4.w, v_1_4.w, _e1647);
                float _e1651 = total_1_1_;
                total_1_1_ = metal::fma(w_1_4.w, v_1_4.w, _e1651);
                float _e1655 = total_1_2_;
                total_1_2_ = metal::fma(w_2_4.w, v_1_4.w, _e1655);
                float _e1659 = total_1_3_;
                total_1_3_ = metal::fma(w_3_4.w, v_1_4.w, _e1659);
                metal::float4 v_2_4 = inputs.inner[288u + (row_1 ^ 4u)];
                float _e1670 = total_2_0_;
                total_2_0_ = metal::fma(w_0_4.x, v_2_4.x, _e1670);
                float _e1674 = total_2_1_;
                total_2_1_ = metal::fma(w_1_4.x, v_2_4.x, _e1674);
                float _e1678 = total_2_2_;
                total_2_2_ = metal::fma(w_2_4.x, v_2_4.x, _e1678);
                float _e1682 = total_2_3_;
                total_2_3_ = metal::fma(w_3_4.x, v_2_4.x, _e1682);
                float _e1686 = total_2_0_;
                total_2_0_ = metal::fma(w_0_4.y, v_2_4.y, _e1686);
                float _e1690 = total_2_1_;
                total_2_1_ = metal::fma(w_1_4.y, v_2_4.y, _e1690);
                float _e1694 = total_2_2_;
                total_2_2_ = metal::fma(w_2_4.y, v_2_4.y, _e1694);
                float _e1698 = total_2_3_;
                total_2_3_ = metal::fma(w_3_4.y, v_2_4.y, _e1698);
                float _e1702 = total_2_0_;
                total_2_0_ = metal::fma(w_0_4.z, v_2_4.z, _e1702);
                float _e1706 = total_2_1_;
                total_2_1_ = metal::fma(w_1_4.z, v_2_4.z, _e1706);
                float _e1710 = total_2_2_;
                total_2_2_ = metal::fma(w_2_4.z, v_2_4.z, _e1710);
                float _e1714 = total_2_3_;
                total_2_3_ = metal::fma(w_3_4.z, v_2_4.z, _e1714);
                float _e1718 = total_2_0_;
                total_2_0_ = metal::fma(w_0_4.w, v_2_4.w, _e1718);
                float _e1722 = total_2_1_;
                total_2_1_ = metal::fma(w_1_4.w, v_2_4.w, _e1722);
                float _e1726 = total_2_2_;
                total_2_2_ = metal::fma(w_2_4.w, v_2_4.w, _e1726);
                float _e1730 = total_2_3_;
                total_2_3_ = metal::fma(w_3_4.w, v_2_4.w, _e1730);
                metal::float4 v_3_4 = inputs.inner[304u + (row_1 ^ 4u)];
                float _e1741 = total_3_0_;
                total_3_0_ = metal::fma(w_0_4.x, v_3_4.x, _e1741);
                float _e1745 = total_3_1_;
                total_3_1_ = metal::fma(w_1_4.x, v_3_4.x, _e1745);
                float _e1749 = total_3_2_;
                total_3_2_ = metal::fma(w_2_4.x, v_3_4.x, _e1749);
                float _e1753 = total_3_3_;
                total_3_3_ = metal::fma(w_3_4.x, v_3_4.x, _e1753);
                float _e1757 = total_3_0_;
                total_3_0_ = metal::fma(w_0_4.y, v_3_4.y, _e1757);
                float _e1761 = total_3_1_;
                total_3_1_ = metal::fma(w_1_4.y, v_3_4.y, _e1761);
                float _e1765 = total_3_2_;
                total_3_2_ = metal::fma(w_2_4.y, v_3_4.y, _e1765);
                float _e1769 = total_3_3_;
                total_3_3_ = metal::fma(w_3_4.y, v_3_4.y, _e1769);
                float _e1773 = total_3_0_;
                total_3_0_ = metal::fma(w_0_4.z, v_3_4.z, _e1773);
                float _e1777 = total_3_1_;
                total_3_1_ = metal::fma(w_1_4.z, v_3_4.z, _e1777);
                float _e1781 = total_3_2_;
                total_3_2_ = metal::fma(w_2_4.z, v_3_4.z, _e1781);
                float _e1785 = total_3_3_;
                total_3_3_ = metal::fma(w_3_4.z, v_3_4.z, _e1785);
                float _e1789 = total_3_0_;
                total_3_0_ = metal::fma(w_0_4.w, v_3_4.w, _e1789);
                float _e1793 = total_3_1_;
                total_3_1_ = metal::fma(w_1_4.w, v_3_4.w, _e1793);
                float _e1797 = total_3_2_;
                total_3_2_ = metal::fma(w_2_4.w, v_3_4.w, _e1797);
                float _e1801 = total_3_3_;
                total_3_3_ = metal::fma(w_3_4.w, v_3_4.w, _e1801);
            }
            {
                metal::float4 w_0_5 = weights_here.inner[320u + feature_1];
                metal::float4 w_1_5 = weights_here.inner[336u + feature_1];
                metal::float4 w_2_5 = weights_here.inner[352u + feature_1];
                metal::float4 w_3_5 = weights_here.inner[368u + feature_1];
                metal::float4 v_0_5 = inputs.inner[320u + (row_1 ^ 5u)];
                float _e1832 = total_0_0_;
                total_0_0_ = metal::fma(w_0_5.x, v_0_5.x, _e1832);
                float _e1836 = total_0_1_;
                total_0_1_ = metal::fma(w_1_5.x, v_0_5.x, _e1836);
                float _e1840 = total_0_2_;
                total_0_2_ = metal::fma(w_2_5.x, v_0_5.x, _e1840);
                float _e1844 = total_0_3_;
                total_0_3_ = metal::fma(w_3_5.x, v_0_5.x, _e1844);
                float _e1848 = total_0_0_;
                total_0_0_ = metal::fma(w_0_5.y, v_0_5.y, _e1848);
                float _e1852 = total_0_1_;
                total_0_1_ = metal::fma(w_1_5.y, v_0_5.y, _e1852);
                float _e1856 = total_0_2_;
                total_0_2_ = metal::fma(w_2_5.y, v_0_5.y, _e1856);
                float _e1860 = total_0_3_;
                total_0_3_ = metal::fma(w_3_5.y, v_0_5.y, _e1860);
                float _e1864 = total_0_0_;
                total_0_0_ = metal::fma(w_0_5.z, v_0_5.z, _e1864);
                float _e1868 = total_0_1_;
                total_0_1_ = metal::fma(w_1_5.z, v_0_5.z, _e1868);
                float _e1872 = total_0_2_;
                total_0_2_ = metal::fma(w_2_5.z, v_0_5.z, _e1872);
                float _e1876 = total_0_3_;
                total_0_3_ = metal::fma(w_3_5.z, v_0_5.z, _e1876);
                float _e1880 = total_0_0_;
                total_0_0_ = metal::fma(w_0_5.w, v_0_5.w, _e1880);
                float _e1884 = total_0_1_;
                total_0_1_ = metal::fma(w_1_5.w, v_0_5.w, _e1884);
                float _e1888 = total_0_2_;
                total_0_2_ = metal::fma(w_2_5.w, v_0_5.w, _e1888);
                float _e1892 = total_0_3_;
                total_0_3_ = metal::fma(w_3_5.w, v_0_5.w, _e1892);
                metal::float4 v_1_5 = inputs.inner[336u + (row_1 ^ 5u)];
                float _e1903 = total_1_0_;
                total_1_0_ = metal::fma(w_0_5.x, v_1_5.x, _e1903);
                float _e1907 = total_1_1_;
                total_1_1_ = metal::fma(w_1_5.x, v_1_5.x, _e1907);
                float _e1911 = total_1_2_;
                total_1_2_ = metal::fma(w_2_5.x, v_1_5.x, _e1911);
                float _e1915 = total_1_3_;
                total_1_3_ = metal::fma(w_3_5.x, v_1_5.x, _e1915);
                float _e1919 = total_1_0_;
                total_1_0_ = metal::fma(w_0_5.y, v_1_5.y, _e1919);
                float _e1923 = total_1_1_;
                total_1_1_ = metal::fma(w_1_5.y, v_1_5.y, _e1923);
                float _e1927 = total_1_2_;
                total_1_2_ = metal::fma(w_2_5.y, v_1_5.y, _e1927);
                float _e1931 = total_1_3_;
                total_1_3_ = metal::fma(w_3_5.y, v_1_5.y, _e1931);
                float _e1935 = total_1_0_;
                total_1_0_ = metal::fma(w_0_5.z, v_1_5.z, _e1935);
                float _e1939 = total_1_1_;
                total_1_1_ = metal::fma(w_1_5.z, v_1_5.z, _e1939);
                float _e1943 = total_1_2_;
                total_1_2_ = metal::fma(w_2_5.z, v_1_5.z, _e1943);
                float _e1947 = total_1_3_;
                total_1_3_ = metal::fma(w_3_5.z, v_1_5.z, _e1947);
                float _e1951 = total_1_0_;
                total_1_0_ = metal::fma(w_0_5.w, v_1_5.w, _e1951);
                float _e1955 = total_1_1_;
                total_1_1_ = metal::fma(w_1_5.w, v_1_5.w, _e1955);
                float _e1959 = total_1_2_;
                total_1_2_ = metal::fma(w_2_5.w, v_1_5.w, _e1959);
                float _e1963 = total_1_3_;
                total_1_3_ = metal::fma(w_3_5.w, v_1_5.w, _e1963);
                metal::float4 v_2_5 = inputs.inner[352u + (row_1 ^ 5u)];
                float _e1974 = total_2_0_;
                total_2_0_ = metal::fma(w_0_5.x, v_2_5.x, _e1974);
                float _e1978 = total_2_1_;
                total_2_1_ = metal::fma(w_1_5.x, v_2_5.x, _e1978);
                float _e1982 = total_2_2_;
                total_2_2_ = metal::fma(w_2_5.x, v_2_5.x, _e1982);
                float _e1986 = total_2_3_;
                total_2_3_ = metal::fma(w_3_5.x, v_2_5.x, _e1986);
                float _e1990 = total_2_0_;
                total_2_0_ = metal::fma(w_0_5.y, v_2_5.y, _e1990);
                float _e1994 = total_2_1_;
                total_2_1_ = metal::fma(w_1_5.y, v_2_5.y, _e1994);
                float _e1998 = total_2_2_;
                total_2_2_ = metal::fma(w_2_5.y, v_2_5.y, _e1998);
                float _e2002 = total_2_3_;
                total_2_3_ = metal::fma(w_3_5.y, v_2_5.y, _e2002);
                float _e2006 = total_2_0_;
                total_2_0_ = metal::fma(w_0_5.z, v_2_5.z, _e2006);
                float _e2010 = total_2_1_;
                total_2_1_ = metal::fma(w_1_5.z, v_2_5.z, _e2010);
                float _e2014 = total_2_2_;
                total_2_2_ = metal::fma(w_2_5.z, v_2_5.z, _e2014);
                float _e2018 = total_2_3_;
                total_2_3_ = metal::fma(w_3_5.z, v_2_5.z, _e2018);
                float _e2022 = total_2_0_;
                total_2_0_ = metal::fma(w_0_5.w, v_2_5.w, _e2022);
                float _e2026 = total_2_1_;
                total_2_1_ = metal::fma(w_1_5.w, v_2_5.w, _e2026);
                float _e2030 = total_2_2_;
                total_2_2_ = metal::fma(w_2_5.w, v_2_5.w, _e2030);
                float _e2034 = total_2_3_;
                total_2_3_ = metal::fma(w_3_5.w, v_2_5.w, _e2034);
                metal::float4 v_3_5 = inputs.inner[368u + (row_1 ^ 5u)];
                float _e2045 = total_3_0_;
                total_3_0_ = metal::fma(w_0_5.x, v_3_5.x, _e2045);
                float _e2049 = total_3_1_;
                total_3_1_ = metal::fma(w_1_5.x, v_3_5.x, _e2049);
                float _e2053 = total_3_2_;
                total_3_2_ = metal::fma(w_2_5.x, v_3_5.x, _e2053);
                float _e2057 = total_3_3_;
                total_3_3_ = metal::fma(w_3_5.x, v_3_5.x, _e2057);
                float _e2061 = total_3_0_;
                total_3_0_ = metal::fma(w_0_5.y, v_3_5.y, _e2061);
                float _e2065 = total_3_1_;
                total_3_1_ = metal::fma(w_1_5.y, v_3_5.y, _e2065);
                float _e2069 = total_3_2_;
                total_3_2_ = metal::fma(w_2_5.y, v_3_5.y, _e2069);
                float _e2073 = total_3_3_;
                total_3_3_ = metal::fma(w_3_5.y, v_3_5.y, _e2073);
                float _e2077 = total_3_0_;
                total_3_0_ = metal::fma(w_0_5.z, v_3_5.z, _e2077);
                float _e2081 = total_3_1_;
                total_3_1_ = metal::fma(w_1_5.z, v_3_5.z, _e2081);
                float _e2085 = total_3_2_;
                total_3_2_ = metal::fma(w_2_5.z, v_3_5.z, _e2085);
                float _e2089 = total_3_3_;
                total_3_3_ = metal::fma(w_3_5.z, v_3_5.z, _e2089);
                float _e2093 = total_3_0_;
                total_3_0_ = metal::fma(w_0_5.w, v_3_5.w, _e2093);
                float _e2097 = total_3_1_;
                total_3_1_ = metal::fma(w_1_5.w, v_3_5.w, _e2097);
                float _e2101 = total_3_2_;
                total_3_2_ = metal::fma(w_2_5.w, v_3_5.w, _e2101);
                float _e2105 = total_3_3_;
                total_3_3_ = metal::fma(w_3_5.w, v_3_5.w, _e2105);
            }
            {
                metal::float4 w_0_6 = weights_here.inner[384u + feature_1];
                metal::float4 w_1_6 = weights_here.inner[400u + feature_1];
                metal::float4 w_2_6 = weights_here.inner[416u + feature_1];
                metal::float4 w_3_6 = weights_here.inner[432u + feature_1];
                metal::float4 v_0_6 = inputs.inner[384u + (row_1 ^ 6u)];
                float _e2136 = total_0_0_;
                total_0_0_ = metal::fma(w_0_6.x, v_0_6.x, _e2136);
                float _e2140 = total_0_1_;
                total_0_1_ = metal::fma(w_1_6.x, v_0_6.x, _e2140);
                float _e2144 = total_0_2_;
                total_0_2_ = metal::fma(w_2_6.x, v_0_6.x, _e2144);
                float _e2148 = total_0_3_;
                total_0_3_ = metal::fma(w_3_6.x, v_0_6.x, _e2148);
                float _e2152 = total_0_0_;
                total_0_0_ = metal::fma(w_0_6.y, v_0_6.y, _e2152);
                float _e2156 = total_0_1_;
                total_0_1_ = metal::fma(w_1_6.y, v_0_6.y, _e2156);
                float _e2160 = total_0_2_;
                total_0_2_ = metal::fma(w_2_6.y, v_0_6.y, _e2160);
                float _e2164 = total_0_3_;
                total_0_3_ = metal::fma(w_3_6.y, v_0_6.y, _e2164);
                float _e2168 = total_0_0_;
                total_0_0_ = metal::fma(w_0_6.z, v_0_6.z, _e2168);
                float _e2172 = total_0_1_;
                total_0_1_ = metal::fma(w_1_6.z, v_0_6.z, _e2172);
                float _e2176 = total_0_2_;
                total_0_2_ = metal::fma(w_2_6.z, v_0_6.z, _e2176);
                float _e2180 = total_0_3_;
                total_0_3_ = metal::fma(w_3_6.z, v_0_6.z, _e2180);
                float _e2184 = total_0_0_;
                total_0_0_ = metal::fma(w_0_6.w, v_0_6.w, _e2184);
                float _e2188 = total_0_1_;
                total_0_1_ = metal::fma(w_1_6.w, v_0_6.w, _e2188);
                float _e2192 = total_0_2_;
                total_0_2_ = metal::fma(w_2_6.w, v_0_6.w, _e2192);
                float _e2196 = total_0_3_;
                total_0_3_ = metal::fma(w_3_6.w, v_0_6.w, _e2196);
                metal::float4 v_1_6 = inputs.inner[400u + (row_1 ^ 6u)];
                float _e2207 = total_1_0_;
                total_1_0_ = metal::fma(w_0_6.x, v_1_6.x, _e2207);
                float _e2211 = total_1_1_;
                total_1_1_ = metal::fma(w_1_6.x, v_1_6.x, _e2211);
                float _e2215 = total_1_2_;
                total_1_2_ = metal::fma(w_2_6.x, v_1_6.x, _e2215);
                float _e2219 = total_1_3_;
                total_1_3_ = metal::fma(w_3_6.x, v_1_6.x, _e2219);
                float _e2223 = total_1_0_;
                total_1_0_ = metal::fma(w_0_6.y, v_1_6.y, _e2223);
                float _e2227 = total_1_1_;
                total_1_1_ = metal::fma(w_1_6.y, v_1_6.y, _e2227);
                float _e2231 = total_1_2_;
                total_1_2_ = metal::fma(w_2_6.y, v_1_6.y, _e2231);
                float _e2235 = total_1_3_;
                total_1_3_ = metal::fma(w_3_6.y, v_1_6.y, _e2235);
                float _e2239 = total_1_0_;
                total_1_0_ = metal::fma(w_0_6.z, v_1_6.z, _e2239);
                float _e2243 = total_1_1_;
                total_1_1_ = metal::fma(w_1_6.z, v_1_6.z, _e2243);
                float _e2247 = total_1_2_;
                total_1_2_ = metal::fma(w_2_6.z, v_1_6.z, _e2247);
                float _e2251 = total_1_3_;
                total_1_3_ = metal::fma(w_3_6.z, v_1_6.z, _e2251);
                float _e2255 = total_1_0_;
                total_1_0_ = metal::fma(w_0_6.w, v_1_6.w, _e2255);
                float _e2259 = total_1_1_;
                total_1_1_ = metal::fma(w_1_6.w, v_1_6.w, _e2259);
                float _e2263 = total_1_2_;
                total_1_2_ = metal::fma(w_2_6.w, v_1_6.w, _e2263);
                float _e2267 = total_1_3_;
                total_1_3_ = metal::fma(w_3_6.w, v_1_6.w, _e2267);
                metal::float4 v_2_6 = inputs.inner[416u + (row_1 ^ 6u)];
                float _e2278 = total_2_0_;
                total_2_0_ = metal::fma(w_0_6.x, v_2_6.x, _e2278);
                float _e2282 = total_2_1_;
                total_2_1_ = metal::fma(w_1_6.x, v_2_6.x, _e2282);
                float _e2286 = total_2_2_;
                total_2_2_ = metal::fma(w_2_6.x, v_2_6.x, _e2286);
                float _e2290 = total_2_3_;
                total_2_3_ = metal::fma(w_3_6.x, v_2_6.x, _e2290);
                float _e2294 = total_2_0_;
                total_2_0_ = metal::fma(w_0_6.y, v_2_6.y, _e2294);
                float _e2298 = total_2_1_;
                total_2_1_ = metal::fma(w_1_6.y, v_2_6.y, _e2298);
                float _e2302 = total_2_2_;
                total_2_2_ = metal::fma(w_2_6.y, v_2_6.y, _e2302);
                float _e2306 = total_2_3_;
                total_2_3_ = metal::fma(w_3_6.y, v_2_6.y, _e2306);
                float _e2310 = total_2_0_;
                total_2_0_ = metal::fma(w_0_6.z, v_2_6.z, _e2310);
                float _e2314 = total_2_1_;
                total_2_1_ = metal::fma(w_1_6.z, v_2_6.z, _e2314);
                float _e2318 = total_2_2_;
                total_2_2_ = metal::fma(w_2_6.z, v_2_6.z, _e2318);
                float _e2322 = total_2_3_;
                total_2_3_ = metal::fma(w_3_6.z, v_2_6.z, _e2322);
                float _e2326 = total_2_0_;
                total_2_0_ = metal::fma(w_0_6.w, v_2_6.w, _e2326);
                float _e2330 = total_2_1_;
                total_2_1_ = metal::fma(w_1_6.w, v_2_6.w, _e2330);
                float _e2334 = total_2_2_;
                total_2_2_ = metal::fma(w_2_6.w, v_2_6.w, _e2334);
                float _e2338 = total_2_3_;
                total_2_3_ = metal::fma(w_3_6.w, v_2_6.w, _e2338);
                metal::float4 v_3_6 = inputs.inner[432u + (row_1 ^ 6u)];
                float _e2349 = total_3_0_;
                total_3_0_ = metal::fma(w_0_6.x, v_3_6.x, _e2349);
                float _e2353 = total_3_1_;
                total_3_1_ = metal::fma(w_1_6.x, v_3_6.x, _e2353);
                float _e2357 = total_3_2_;
                total_3_2_ = metal::fma(w_2_6.x, v_3_6.x, _e2357);
                float _e2361 = total_3_3_;
                total_3_3_ = metal::fma(w_3_6.x, v_3_6.x, _e2361);
                float _e2365 = total_3_0_;
                total_3_0_ = metal::fma(w_0_6.y, v_3_6.y, _e2365);
                float _e2369 = total_3_1_;
                total_3_1_ = metal::fma(w_1_6.y, v_3_6.y, _e2369);
                float _e2373 = total_3_2_;
                total_3_2_ = metal::fma(w_2_6.y, v_3_6.y, _e2373);
                float _e2377 = total_3_3_;
                total_3_3_ = metal::fma(w_3_6.y, v_3_6.y, _e2377);
                float _e2381 = total_3_0_;
                total_3_0_ = metal::fma(w_0_6.z, v_3_6.z, _e2381);
                float _e2385 = total_3_1_;
                total_3_1_ = metal::fma(w_1_6.z, v_3_6.z, _e2385);
                float _e2389 = total_3_2_;
                total_3_2_ = metal::fma(w_2_6.z, v_3_6.z, _e2389);
                float _e2393 = total_3_3_;
                total_3_3_ = metal::fma(w_3_6.z, v_3_6.z, _e2393);
                float _e2397 = total_3_0_;
                total_3_0_ = metal::fma(w_0_6.w, v_3_6.w, _e2397);
                float _e2401 = total_3_1_;
                total_3_1_ = metal::fma(w_1_6.w, v_3_6.w, _e2401);
                float _e2405 = total_3_2_;
                total_3_2_ = metal::fma(w_2_6.w, v_3_6.w, _e2405);
                float _e2409 = total_3_3_;
                total_3_3_ = metal::fma(w_3_6.w, v_3_6.w, _e2409);
            }
            {
                metal::float4 w_0_7 = weights_here.inner[448u + feature_1];
                metal::float4 w_1_7 = weights_here.inner[464u + feature_1];
                metal::float4 w_2_7 = weights_here.inner[480u + feature_1];
                metal::float4 w_3_7 = weights_here.inner[496u + feature_1];
                metal::float4 v_0_7 = inputs.inner[448u + (row_1 ^ 7u)];
                float _e2440 = total_0_0_;
                total_0_0_ = metal::fma(w_0_7.x, v_0_7.x, _e2440);
                float _e2444 = total_0_1_;
                total_0_1_ = metal::fma(w_1_7.x, v_0_7.x, _e2444);
                float _e2448 = total_0_2_;
                total_0_2_ = metal::fma(w_2_7.x, v_0_7.x, _e2448);
                float _e2452 = total_0_3_;
                total_0_3_ = metal::fma(w_3_7.x, v_0_7.x, _e2452);
                float _e2456 = total_0_0_;
                total_0_0_ = metal::fma(w_0_7.y, v_0_7.y, _e2456);
                float _e2460 = total_0_1_;
                total_0_1_ = metal::fma(w_1_7.y, v_0_7.y, _e2460);
                float _e2464 = total_0_2_;
                total_0_2_ = metal::fma(w_2_7.y, v_0_7.y, _e2464);
                float _e2468 = total_0_3_;
                total_0_3_ = metal::fma(w_3_7.y, v_0_7.y, _e2468);
                float _e2472 = total_0_0_;
                total_0_0_ = metal::fma(w_0_7.z, v_0_7.z, _e2472);
                float _e2476 = total_0_1_;
                total_0_1_ = metal::fma(w_1_7.z, v_0_7.z, _e2476);
                float _e2480 = total_0_2_;
                total_0_2_ = metal::fma(w_2_7.z, v_0_7.z, _e2480);
                float _e2484 = total_0_3_;
                total_0_3_ = metal::fma(w_3_7.z, v_0_7.z, _e2484);
                float _e2488 = total_0_0_;
                total_0_0_ = metal::fma(w_0_7.w, v_0_7.w, _e2488);
                float _e2492 = total_0_1_;
                total_0_1_ = metal::fma(w_1_7.w, v_0_7.w, _e2492);
                float _e2496 = total_0_2_;
                total_0_2_ = metal::fma(w_2_7.w, v_0_7.w, _e2496);
                float _e2500 = total_0_3_;
                total_0_3_ = metal::fma(w_3_7.w, v_0_7.w, _e2500);
                metal::float4 v_1_7 = inputs.inner[464u + (row_1 ^ 7u)];
                float _e2511 = total_1_0_;
                total_1_0_ = metal::fma(w_0_7.x, v_1_7.x, _e2511);
                float _e2515 = total_1_1_;
                total_1_1_ = metal::fma(w_1_7.x, v_1_7.x, _e2515);
                float _e2519 = total_1_2_;
                total_1_2_ = metal::fma(w_2_7.x, v_1_7.x, _e2519);
                float _e2523 = total_1_3_;
                total_1_3_ = metal::fma(w_3_7.x, v_1_7.x, _e2523);
                float _e2527 = total_1_0_;
                total_1_0_ = metal::fma(w_0_7.y, v_1_7.y, _e2527);
                float _e2531 = total_1_1_;
                total_1_1_ = metal::fma(w_1_7.y, v_1_7.y, _e2531);
                float _e2535 = total_1_2_;
                total_1_2_ = metal::fma(w_2_7.y, v_1_7.y, _e2535);
                float _e2539 = total_1_3_;
                total_1_3_ = metal::fma(w_3_7.y, v_1_7.y, _e2539);
                float _e2543 = total_1_0_;
                total_1_0_ = metal::fma(w_0_7.z, v_1_7.z, _e2543);
                float _e2547 = total_1_1_;
                total_1_1_ = metal::fma(w_1_7.z, v_1_7.z, _e2547);
                float _e2551 = total_1_2_;
                total_1_2_ = metal::fma(w_2_7.z, v_1_7.z, _e2551);
                float _e2555 = total_1_3_;
                total_1_3_ = metal::fma(w_3_7.z, v_1_7.z, _e2555);
                float _e2559 = total_1_0_;
                total_1_0_ = metal::fma(w_0_7.w, v_1_7.w, _e2559);
                float _e2563 = total_1_1_;
                total_1_1_ = metal::fma(w_1_7.w, v_1_7.w, _e2563);
                float _e2567 = total_1_2_;
                total_1_2_ = metal::fma(w_2_7.w, v_1_7.w, _e2567);
                float _e2571 = total_1_3_;
                total_1_3_ = metal::fma(w_3_7.w, v_1_7.w, _e2571);
                metal::float4 v_2_7 = inputs.inner[480u + (row_1 ^ 7u)];
                float _e2582 = total_2_0_;
                total_2_0_ = metal::fma(w_0_7.x, v_2_7.x, _e2582);
                float _e2586 = total_2_1_;
                total_2_1_ = metal::fma(w_1_7.x, v_2_7.x, _e2586);
                float _e2590 = total_2_2_;
                total_2_2_ = metal::fma(w_2_7.x, v_2_7.x, _e2590);
                float _e2594 = total_2_3_;
                total_2_3_ = metal::fma(w_3_7.x, v_2_7.x, _e2594);
                float _e2598 = total_2_0_;
                total_2_0_ = metal::fma(w_0_7.y, v_2_7.y, _e2598);
                float _e2602 = total_2_1_;
                total_2_1_ = metal::fma(w_1_7.y, v_2_7.y, _e2602);
                float _e2606 = total_2_2_;
                total_2_2_ = metal::fma(w_2_7.y, v_2_7.y, _e2606);
                float _e2610 = total_2_3_;
                total_2_3_ = metal::fma(w_3_7.y, v_2_7.y, _e2610);
                float _e2614 = total_2_0_;
                total_2_0_ = metal::fma(w_0_7.z, v_2_7.z, _e2614);
                float _e2618 = total_2_1_;
                total_2_1_ = metal::fma(w_1_7.z, v_2_7.z, _e2618);
                float _e2622 = total_2_2_;
                total_2_2_ = metal::fma(w_2_7.z, v_2_7.z, _e2622);
                float _e2626 = total_2_3_;
                total_2_3_ = metal::fma(w_3_7.z, v_2_7.z, _e2626);
                float _e2630 = total_2_0_;
                total_2_0_ = metal::fma(w_0_7.w, v_2_7.w, _e2630);
                float _e2634 = total_2_1_;
                total_2_1_ = metal::fma(w_1_7.w, v_2_7.w, _e2634);
                float _e2638 = total_2_2_;
                total_2_2_ = metal::fma(w_2_7.w, v_2_7.w, _e2638);
                float _e2642 = total_2_3_;
                total_2_3_ = metal::fma(w_3_7.w, v_2_7.w, _e2642);
                metal::float4 v_3_7 = inputs.inner[496u + (row_1 ^ 7u)];
                float _e2653 = total_3_0_;
                total_3_0_ = metal::fma(w_0_7.x, v_3_7.x, _e2653);
                float _e2657 = total_3_1_;
                total_3_1_ = metal::fma(w_1_7.x, v_3_7.x, _e2657);
                float _e2661 = total_3_2_;
                total_3_2_ = metal::fma(w_2_7.x, v_3_7.x, _e2661);
                float _e2665 = total_3_3_;
                total_3_3_ = metal::fma(w_3_7.x, v_3_7.x, _e2665);
                float _e2669 = total_3_0_;
                total_3_0_ = metal::fma(w_0_7.y, v_3_7.y, _e2669);
                float _e2673 = total_3_1_;
                total_3_1_ = metal::fma(w_1_7.y, v_3_7.y, _e2673);
                float _e2677 = total_3_2_;
                total_3_2_ = metal::fma(w_2_7.y, v_3_7.y, _e2677);
                float _e2681 = total_3_3_;
                total_3_3_ = metal::fma(w_3_7.y, v_3_7.y, _e2681);
                float _e2685 = total_3_0_;
                total_3_0_ = metal::fma(w_0_7.z, v_3_7.z, _e2685);
                float _e2689 = total_3_1_;
                total_3_1_ = metal::fma(w_1_7.z, v_3_7.z, _e2689);
                float _e2693 = total_3_2_;
                total_3_2_ = metal::fma(w_2_7.z, v_3_7.z, _e2693);
                float _e2697 = total_3_3_;
                total_3_3_ = metal::fma(w_3_7.z, v_3_7.z, _e2697);
                float _e2701 = total_3_0_;
                total_3_0_ = metal::fma(w_0_7.w, v_3_7.w, _e2701);
                float _e2705 = total_3_1_;
                total_3_1_ = metal::fma(w_1_7.w, v_3_7.w, _e2705);
                float _e2709 = total_3_2_;
                total_3_2_ = metal::fma(w_2_7.w, v_3_7.w, _e2709);
                float _e2713 = total_3_3_;
                total_3_3_ = metal::fma(w_3_7.w, v_3_7.w, _e2713);
            }
            uint _e2715 = block;
            uint _e2718 = part_end;
            if ((_e2715 + 1u) == metal::min(_e2718, blocks_2)) {
                uint _e2721 = part_end;
                uint _e2724 = params.part_blocks;
                part_end = _e2721 + _e2724;
                float _e2726 = whole_0_0_;
                float _e2727 = total_0_0_;
                whole_0_0_ = _e2726 + _e2727;
                total_0_0_ = 0.0;
                float _e2730 = whole_0_1_;
                float _e2731 = total_0_1_;
                whole_0_1_ = _e2730 + _e2731;
                total_0_1_ = 0.0;
                float _e2734 = whole_0_2_;
                float _e2735 = total_0_2_;
                whole_0_2_ = _e2734 + _e2735;
                total_0_2_ = 0.0;
                float _e2738 = whole_0_3_;
                float _e2739 = total_0_3_;
                whole_0_3_ = _e2738 + _e2739;
                total_0_3_ = 0.0;
                float _e2742 = whole_1_0_;
                float _e2743 = total_1_0_;
                whole_1_0_ = _e2742 + _e2743;
                total_1_0_ = 0.0;
                float _e2746 = whole_1_1_;
                float _e2747 = total_1_1_;
                whole_1_1_ = _e2746 + _e2747;
                total_1_1_ = 0.0;
                float _e2750 = whole_1_2_;
                float _e2751 = total_1_2_;
                whole_1_2_ = _e2750 + _e2751;
                total_1_2_ = 0.0;
                float _e2754 = whole_1_3_;
                float _e2755 = total_1_3_;
                whole_1_3_ = _e2754 + _e2755;
                total_1_3_ = 0.0;
                float _e2758 = whole_2_0_;
                float _e2759 = total_2_0_;
                whole_2_0_ = _e2758 + _e2759;
                total_2_0_ = 0.0;
                float _e2762 = whole_2_1_;
                float _e2763 = total_2_1_;
                whole_2_1_ = _e2762 + _e2763;
                total_2_1_ = 0.0;
                float _e2766 = whole_2_2_;
                float _e2767 = total_2_2_;
                whole_2_2_ = _e2766 + _e2767;
                total_2_2_ = 0.0;
                float _e2770 = whole_2_3_;
                float _e2771 = total_2_3_;
                whole_2_3_ = _e2770 + _e2771;
                total_2_3_ = 0.0;
                float _e2774 = whole_3_0_;
                float _e2775 = total_3_0_;
                whole_3_0_ = _e2774 + _e2775;
                total_3_0_ = 0.0;
                float _e2778 = whole_3_1_;
                float _e2779 = total_3_1_;
                whole_3_1_ = _e2778 + _e2779;
                total_3_1_ = 0.0;
                float _e2782 = whole_3_2_;
                float _e2783 = total_3_2_;
                whole_3_2_ = _e2782 + _e2783;
                total_3_2_ = 0.0;
                float _e2786 = whole_3_3_;
                float _e2787 = total_3_3_;
                whole_3_3_ = _e2786 + _e2787;
                total_3_3_ = 0.0;
            }
        }
    }
    float _e2805 = whole_0_0_;
    store(((group.y * 64u) + row_1) + 0u, ((group.x * 64u) + feature_1) + 0u, _e2805, out, params, _buffer_sizes);
    float _e2818 = whole_0_1_;
    store(((group.y * 64u) + row_1) + 0u, ((group.x * 64u) + feature_1) + 16u, _e2818, out, params, _buffer_sizes);
    float _e2831 = whole_0_2_;
    store(((group.y * 64u) + row_1) + 0u, ((group.x * 64u) + feature_1) + 32u, _e2831, out, params, _buffer_sizes);
    float _e2844 = whole_0_3_;
    store(((group.y * 64u) + row_1) + 0u, ((group.x * 64u) + feature_1) + 48u, _e2844, out, params, _buffer_sizes);
    float _e2857 = whole_1_0_;
    store(((group.y * 64u) + row_1) + 16u, ((group.x * 64u) + feature_1) + 0u, _e2857, out, params, _buffer_sizes);
    float _e2870 = whole_1_1_;
    store(((group.y * 64u) + row_1) + 16u, ((group.x * 64u) + feature_1) + 16u, _e2870, out, params, _buffer_sizes);
    float _e2883 = whole_1_2_;
    store(((group.y * 64u) + row_1) + 16u, ((group.x * 64u) + feature_1) + 32u, _e2883, out, params, _buffer_sizes);
    float _e2896 = whole_1_3_;
    store(((group.y * 64u) + row_1) + 16u, ((group.x * 64u) + feature_1) + 48u, _e2896, out, params, _buffer_sizes);
    float _e2909 = whole_2_0_;
    store(((group.y * 64u) + row_1) + 32u, ((group.x * 64u) + feature_1) + 0u, _e2909, out, params, _buffer_sizes);
    float _e2922 = whole_2_1_;
    store(((group.y * 64u) + row_1) + 32u, ((group.x * 64u) + feature_1) + 16u, _e2922, out, params, _buffer_sizes);
    float _e2935 = whole_2_2_;
    store(((group.y * 64u) + row_1) + 32u, ((group.x * 64u) + feature_1) + 32u, _e2935, out, params, _buffer_sizes);
    float _e2948 = whole_2_3_;
    store(((group.y * 64u) + row_1) + 32u, ((group.x * 64u) + feature_1) + 48u, _e2948, out, params, _buffer_sizes);
    float _e2961 = whole_3_0_;
    store(((group.y * 64u) + row_1) + 48u, ((group.x * 64u) + feature_1) + 0u, _e2961, out, params, _buffer_sizes);
    float _e2974 = whole_3_1_;
    store(((group.y * 64u) + row_1) + 48u, ((group.x * 64u) + feature_1) + 16u, _e2974, out, params, _buffer_sizes);
    float _e2987 = whole_3_2_;
    store(((group.y * 64u) + row_1) + 48u, ((group.x * 64u) + feature_1) + 32u, _e2987, out, params, _buffer_sizes);
    float _e3000 = whole_3_3_;
    store(((group.y * 64u) + row_1) + 48u, ((group.x * 64u) + feature_1) + 48u, _e3000, out, params, _buffer_sizes);
    return;
}

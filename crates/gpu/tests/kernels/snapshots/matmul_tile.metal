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

typedef float type_2[1];
typedef metal::uint2 type_4[1];
typedef uint type_5[1];
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
struct type_10 {
    metal::float4 inner[520];
};
struct type_11 {
    metal::float4 inner[512];
};
struct type_12 {
    metal::float2 inner[64];
};
struct type_13 {
    float inner[64];
};
constant uint CODE = 2u;
constant uint SCALE = 2u;
constant uint GROUP = 32u;
constant uint ZERO = 0u;
constant uint BIAS = 0u;
constant uint RESIDUAL = 0u;
constant metal::float4 PRESCALE = metal::float4(1.0, 0.25, 0.0625, 0.015625);
constant metal::float4 UNSCALE = metal::float4(1.0, 4.0, 16.0, 64.0);

Block load_block(
    uint block_1,
    uint lane,
    device type_4 const& weight_codes,
    constant _mslBufferSizes& _buffer_sizes
) {
    Block b = {};
    metal::uint2 _e13 = weight_codes[(((block_1 * 1u) + 0u) * 32u) + lane];
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
    uint lane_1,
    float global,
    device type_5 const& weight_scales,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint w = weight_scales[(((tile * groups) + group_1) * 32u) + lane_1];
    return metal::float2(as_type<float>(w << 16u), as_type<float>(w & 4294901760u));
}

void store(
    uint row,
    uint feature,
    float value,
    device type_2& out,
    constant Params& params,
    constant _mslBufferSizes& _buffer_sizes
) {
    bool local = {};
    float sum_1 = {};
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
    sum_1 = value;
    uint _e19 = params.first_row;
    uint _e23 = params.out_stride;
    uint _e27 = params.out_first;
    uint at_1 = (((_e19 + row) * _e23) + _e27) + feature;
    float _e32 = sum_1;
    out[at_1] = _e32;
    return;
}

float input_value(
    uint at,
    uint k,
    device type_2 const& x,
    constant Params& params,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e4 = params.columns;
    if (k >= _e4) {
        return 0.0;
    }
    float _e10 = x[at + k];
    return _e10;
}
uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}


struct main_Input {
};
[[max_total_threads_per_threadgroup(256)]] kernel void main_(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint thread_ [[thread_index_in_threadgroup]]
, device type_2 const& x [[user(fake0)]]
, device type_4 const& weight_codes [[user(fake0)]]
, device type_5 const& weight_scales [[user(fake0)]]
, device type_2& out [[user(fake0)]]
, constant Params& params [[user(fake0)]]
, threadgroup type_10& inputs
, threadgroup type_11& codes_here
, threadgroup type_12& scales
, threadgroup type_13& sums
, constant _mslBufferSizes& _buffer_sizes [[user(fake0)]]
) {
    if (thread_ == 0u) {
        inputs = {};
        codes_here = {};
        scales = {};
        sums = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float whole_0_0_ = 0.0;
    float whole_0_1_ = 0.0;
    float whole_0_2_ = 0.0;
    float whole_0_3_ = 0.0;
    float whole_1_0_ = 0.0;
    float whole_1_1_ = 0.0;
    float whole_1_2_ = 0.0;
    float whole_1_3_ = 0.0;
    float whole_2_0_ = 0.0;
    float whole_2_1_ = 0.0;
    float whole_2_2_ = 0.0;
    float whole_2_3_ = 0.0;
    float whole_3_0_ = 0.0;
    float whole_3_1_ = 0.0;
    float whole_3_2_ = 0.0;
    float whole_3_3_ = 0.0;
    uint first = 0u;
    float total_0_0_ = {};
    float total_0_1_ = {};
    float total_0_2_ = {};
    float total_0_3_ = {};
    float total_1_0_ = {};
    float total_1_1_ = {};
    float total_1_2_ = {};
    float total_1_3_ = {};
    float total_2_0_ = {};
    float total_2_1_ = {};
    float total_2_2_ = {};
    float total_2_3_ = {};
    float total_3_0_ = {};
    float total_3_1_ = {};
    float total_3_2_ = {};
    float total_3_3_ = {};
    uint block = {};
    metal::float4 sum = {};
    uint j = {};
    metal::float4 dot_0_0_ = {};
    metal::float4 dot_0_1_ = {};
    metal::float4 dot_1_0_ = {};
    metal::float4 dot_1_1_ = {};
    metal::float4 dot_2_0_ = {};
    metal::float4 dot_2_1_ = {};
    metal::float4 dot_3_0_ = {};
    metal::float4 dot_3_1_ = {};
    metal::float4 dot_0_2_ = {};
    metal::float4 dot_0_3_ = {};
    metal::float4 dot_1_2_ = {};
    metal::float4 dot_1_3_ = {};
    metal::float4 dot_2_2_ = {};
    metal::float4 dot_2_3_ = {};
    metal::float4 dot_3_2_ = {};
    metal::float4 dot_3_3_ = {};
    uint _e4 = params.columns;
    uint blocks = naga_div(_e4 + 31u, 32u);
    uint _e11 = params.features;
    uint tiles = naga_div(_e11 + 31u, 32u);
    uint brought = thread_ & 63u;
    uint quarter = thread_ >> 6u;
    uint tile_1 = metal::min((group.x * 2u) + naga_div(brought, 32u), tiles - 1u);
    uint lane_2 = brought & 31u;
    uint feature_1 = thread_ & 15u;
    uint row_1 = thread_ >> 4u;
    uint _e77 = params.rows;
    uint _e83 = params.x_stride;
    uint row_at_0_ = metal::min(((group.y * 64u) + (thread_ >> 3u)) + 0u, _e77 - 1u) * _e83;
    uint _e95 = params.rows;
    uint _e101 = params.x_stride;
    uint row_at_1_ = metal::min(((group.y * 64u) + (thread_ >> 3u)) + 32u, _e95 - 1u) * _e101;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e1561 = first;
            uint _e1564 = params.part_blocks;
            first = _e1561 + _e1564;
        }
        loop_init = false;
        uint _e105 = first;
        if (_e105 < blocks) {
        } else {
            break;
        }
        {
            uint _e107 = first;
            uint _e110 = params.part_blocks;
            uint end = metal::min(_e107 + _e110, blocks);
            total_0_0_ = 0.0;
            total_0_1_ = 0.0;
            total_0_2_ = 0.0;
            total_0_3_ = 0.0;
            total_1_0_ = 0.0;
            total_1_1_ = 0.0;
            total_1_2_ = 0.0;
            total_1_3_ = 0.0;
            total_2_0_ = 0.0;
            total_2_1_ = 0.0;
            total_2_2_ = 0.0;
            total_2_3_ = 0.0;
            total_3_0_ = 0.0;
            total_3_1_ = 0.0;
            total_3_2_ = 0.0;
            total_3_3_ = 0.0;
            uint _e145 = first;
            block = _e145;
            uint2 loop_bound_1 = uint2(4294967295u);
            bool loop_init_1 = true;
            while(true) {
                if (metal::all(loop_bound_1 == uint2(0u))) { break; }
                loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
                if (!loop_init_1) {
                    uint _e1511 = block;
                    block = _e1511 + 1u;
                }
                loop_init_1 = false;
                uint _e147 = block;
                if (_e147 < end) {
                } else {
                    break;
                }
                {
                    uint _e150 = block;
                    Block _e152 = load_block((tile_1 * blocks) + _e150, lane_2, weight_codes, _buffer_sizes);
                    uint _e153 = block;
                    uint k_0_ = (_e153 * 32u) + ((thread_ & 7u) * 4u);
                    float _e162 = input_value(row_at_0_, k_0_, x, params, _buffer_sizes);
                    float _e165 = input_value(row_at_0_, k_0_ + 1u, x, params, _buffer_sizes);
                    float _e168 = input_value(row_at_0_, k_0_ + 2u, x, params, _buffer_sizes);
                    float _e171 = input_value(row_at_0_, k_0_ + 3u, x, params, _buffer_sizes);
                    metal::float4 x_0_ = PRESCALE * metal::float4(_e162, _e165, _e168, _e171);
                    uint _e174 = block;
                    uint k_1_ = (_e174 * 32u) + ((thread_ & 7u) * 4u);
                    float _e183 = input_value(row_at_1_, k_1_, x, params, _buffer_sizes);
                    float _e186 = input_value(row_at_1_, k_1_ + 1u, x, params, _buffer_sizes);
                    float _e189 = input_value(row_at_1_, k_1_ + 2u, x, params, _buffer_sizes);
                    float _e192 = input_value(row_at_1_, k_1_ + 3u, x, params, _buffer_sizes);
                    metal::float4 x_1_ = PRESCALE * metal::float4(_e183, _e186, _e189, _e192);
                    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                    inputs.inner[(((thread_ & 7u) * 65u) + (thread_ >> 3u)) + 0u] = x_0_;
                    inputs.inner[(((thread_ & 7u) * 65u) + (thread_ >> 3u)) + 32u] = x_1_;
                    if (quarter == 0u) {
                        metal::float4 _e223 = unpack_0_(_e152);
                        codes_here.inner[0u + brought] = _e223;
                        metal::float4 _e228 = unpack_1_(_e152);
                        codes_here.inner[64u + brought] = _e228;
                    }
                    if (quarter == 1u) {
                        metal::float4 _e235 = unpack_2_(_e152);
                        codes_here.inner[128u + brought] = _e235;
                        metal::float4 _e240 = unpack_3_(_e152);
                        codes_here.inner[192u + brought] = _e240;
                    }
                    if (quarter == 2u) {
                        metal::float4 _e247 = unpack_4_(_e152);
                        codes_here.inner[256u + brought] = _e247;
                        metal::float4 _e252 = unpack_5_(_e152);
                        codes_here.inner[320u + brought] = _e252;
                    }
                    if (quarter == 3u) {
                        metal::float4 _e259 = unpack_6_(_e152);
                        codes_here.inner[384u + brought] = _e259;
                        metal::float4 _e264 = unpack_7_(_e152);
                        codes_here.inner[448u + brought] = _e264;
                    }
                    if (quarter < 1u) {
                        uint _e269 = block;
                        float _e280 = params.global_scale;
                        metal::float2 _e281 = scale_offset(tile_1, naga_div(_e269 * 32u, 32u), naga_div(blocks * 32u, 32u), lane_2, _e280, weight_scales, _buffer_sizes);
                        scales.inner[thread_] = _e281;
                    }
                    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                    if (quarter < 1u) {
                        sum = metal::float4(0.0);
                        j = 0u;
                        uint2 loop_bound_2 = uint2(4294967295u);
                        bool loop_init_2 = true;
                        while(true) {
                            if (metal::all(loop_bound_2 == uint2(0u))) { break; }
                            loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
                            if (!loop_init_2) {
                                uint _e307 = j;
                                j = _e307 + 1u;
                            }
                            loop_init_2 = false;
                            uint _e289 = j;
                            if (_e289 < 8u) {
                            } else {
                                break;
                            }
                            {
                                metal::float4 _e292 = sum;
                                uint _e296 = j;
                                metal::float4 _e302 = inputs.inner[(((quarter * 8u) + _e296) * 65u) + brought];
                                sum = _e292 + (_e302 * UNSCALE);
                            }
                        }
                        float _e312 = sum.x;
                        float _e314 = sum.y;
                        float _e317 = sum.z;
                        float _e319 = sum.w;
                        sums.inner[thread_] = (_e312 + _e314) + (_e317 + _e319);
                    }
                    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                    {
                        dot_0_0_ = metal::float4(0.0);
                        dot_0_1_ = metal::float4(0.0);
                        dot_1_0_ = metal::float4(0.0);
                        dot_1_1_ = metal::float4(0.0);
                        dot_2_0_ = metal::float4(0.0);
                        dot_2_1_ = metal::float4(0.0);
                        dot_3_0_ = metal::float4(0.0);
                        dot_3_1_ = metal::float4(0.0);
                        {
                            metal::float4 w_0_ = codes_here.inner[0u + feature_1];
                            metal::float4 w_1_ = codes_here.inner[16u + feature_1];
                            metal::float4 x_0_1 = inputs.inner[0u + row_1];
                            metal::float4 _e361 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_, x_0_1, _e361);
                            metal::float4 _e363 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_, x_0_1, _e363);
                            metal::float4 x_1_1 = inputs.inner[16u + row_1];
                            metal::float4 _e370 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_, x_1_1, _e370);
                            metal::float4 _e372 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_, x_1_1, _e372);
                            metal::float4 x_2_ = inputs.inner[32u + row_1];
                            metal::float4 _e379 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_, x_2_, _e379);
                            metal::float4 _e381 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_, x_2_, _e381);
                            metal::float4 x_3_ = inputs.inner[48u + row_1];
                            metal::float4 _e388 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_, x_3_, _e388);
                            metal::float4 _e390 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_, x_3_, _e390);
                        }
                        {
                            metal::float4 w_0_1 = codes_here.inner[64u + feature_1];
                            metal::float4 w_1_1 = codes_here.inner[80u + feature_1];
                            metal::float4 x_0_2 = inputs.inner[65u + row_1];
                            metal::float4 _e407 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_1, x_0_2, _e407);
                            metal::float4 _e409 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_1, x_0_2, _e409);
                            metal::float4 x_1_2 = inputs.inner[81u + row_1];
                            metal::float4 _e416 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_1, x_1_2, _e416);
                            metal::float4 _e418 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_1, x_1_2, _e418);
                            metal::float4 x_2_1 = inputs.inner[97u + row_1];
                            metal::float4 _e425 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_1, x_2_1, _e425);
                            metal::float4 _e427 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_1, x_2_1, _e427);
                            metal::float4 x_3_1 = inputs.inner[113u + row_1];
                            metal::float4 _e434 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_1, x_3_1, _e434);
                            metal::float4 _e436 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_1, x_3_1, _e436);
                        }
                        {
                            metal::float4 w_0_2 = codes_here.inner[128u + feature_1];
                            metal::float4 w_1_2 = codes_here.inner[144u + feature_1];
                            metal::float4 x_0_3 = inputs.inner[130u + row_1];
                            metal::float4 _e453 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_2, x_0_3, _e453);
                            metal::float4 _e455 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_2, x_0_3, _e455);
                            metal::float4 x_1_3 = inputs.inner[146u + row_1];
                            metal::float4 _e462 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_2, x_1_3, _e462);
                            metal::float4 _e464 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_2, x_1_3, _e464);
                            metal::float4 x_2_2 = inputs.inner[162u + row_1];
                            metal::float4 _e471 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_2, x_2_2, _e471);
                            metal::float4 _e473 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_2, x_2_2, _e473);
                            metal::float4 x_3_2 = inputs.inner[178u + row_1];
                            metal::float4 _e480 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_2, x_3_2, _e480);
                            metal::float4 _e482 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_2, x_3_2, _e482);
                        }
                        {
                            metal::float4 w_0_3 = codes_here.inner[192u + feature_1];
                            metal::float4 w_1_3 = codes_here.inner[208u + feature_1];
                            metal::float4 x_0_4 = inputs.inner[195u + row_1];
                            metal::float4 _e499 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_3, x_0_4, _e499);
                            metal::float4 _e501 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_3, x_0_4, _e501);
                            metal::float4 x_1_4 = inputs.inner[211u + row_1];
                            metal::float4 _e508 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_3, x_1_4, _e508);
                            metal::float4 _e510 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_3, x_1_4, _e510);
                            metal::float4 x_2_3 = inputs.inner[227u + row_1];
                            metal::float4 _e517 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_3, x_2_3, _e517);
                            metal::float4 _e519 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_3, x_2_3, _e519);
                            metal::float4 x_3_3 = inputs.inner[243u + row_1];
                            metal::float4 _e526 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_3, x_3_3, _e526);
                            metal::float4 _e528 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_3, x_3_3, _e528);
                        }
                        {
                            metal::float4 w_0_4 = codes_here.inner[256u + feature_1];
                            metal::float4 w_1_4 = codes_here.inner[272u + feature_1];
                            metal::float4 x_0_5 = inputs.inner[260u + row_1];
                            metal::float4 _e545 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_4, x_0_5, _e545);
                            metal::float4 _e547 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_4, x_0_5, _e547);
                            metal::float4 x_1_5 = inputs.inner[276u + row_1];
                            metal::float4 _e554 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_4, x_1_5, _e554);
                            metal::float4 _e556 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_4, x_1_5, _e556);
                            metal::float4 x_2_4 = inputs.inner[292u + row_1];
                            metal::float4 _e563 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_4, x_2_4, _e563);
                            metal::float4 _e565 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_4, x_2_4, _e565);
                            metal::float4 x_3_4 = inputs.inner[308u + row_1];
                            metal::float4 _e572 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_4, x_3_4, _e572);
                            metal::float4 _e574 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_4, x_3_4, _e574);
                        }
                        {
                            metal::float4 w_0_5 = codes_here.inner[320u + feature_1];
                            metal::float4 w_1_5 = codes_here.inner[336u + feature_1];
                            metal::float4 x_0_6 = inputs.inner[325u + row_1];
                            metal::float4 _e591 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_5, x_0_6, _e591);
                            metal::float4 _e593 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_5, x_0_6, _e593);
                            metal::float4 x_1_6 = inputs.inner[341u + row_1];
                            metal::float4 _e600 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_5, x_1_6, _e600);
                            metal::float4 _e602 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_5, x_1_6, _e602);
                            metal::float4 x_2_5 = inputs.inner[357u + row_1];
                            metal::float4 _e609 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_5, x_2_5, _e609);
                            metal::float4 _e611 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_5, x_2_5, _e611);
                            metal::float4 x_3_5 = inputs.inner[373u + row_1];
                            metal::float4 _e618 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_5, x_3_5, _e618);
                            metal::float4 _e620 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_5, x_3_5, _e620);
                        }
                        {
                            metal::float4 w_0_6 = codes_here.inner[384u + feature_1];
                            metal::float4 w_1_6 = codes_here.inner[400u + feature_1];
                            metal::float4 x_0_7 = inputs.inner[390u + row_1];
                            metal::float4 _e637 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_6, x_0_7, _e637);
                            metal::float4 _e639 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_6, x_0_7, _e639);
                            metal::float4 x_1_7 = inputs.inner[406u + row_1];
                            metal::float4 _e646 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_6, x_1_7, _e646);
                            metal::float4 _e648 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_6, x_1_7, _e648);
                            metal::float4 x_2_6 = inputs.inner[422u + row_1];
                            metal::float4 _e655 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_6, x_2_6, _e655);
                            metal::float4 _e657 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_6, x_2_6, _e657);
                            metal::float4 x_3_6 = inputs.inner[438u + row_1];
                            metal::float4 _e664 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_6, x_3_6, _e664);
                            metal::float4 _e666 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_6, x_3_6, _e666);
                        }
                        {
                            metal::float4 w_0_7 = codes_here.inner[448u + feature_1];
                            metal::float4 w_1_7 = codes_here.inner[464u + feature_1];
                            metal::float4 x_0_8 = inputs.inner[455u + row_1];
                            metal::float4 _e683 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_7, x_0_8, _e683);
                            metal::float4 _e685 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_7, x_0_8, _e685);
                            metal::float4 x_1_8 = inputs.inner[471u + row_1];
                            metal::float4 _e692 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_7, x_1_8, _e692);
                            metal::float4 _e694 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_7, x_1_8, _e694);
                            metal::float4 x_2_7 = inputs.inner[487u + row_1];
                            metal::float4 _e701 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_7, x_2_7, _e701);
                            metal::float4 _e703 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_7, x_2_7, _e703);
                            metal::float4 x_3_7 = inputs.inner[503u + row_1];
                            metal::float4 _e710 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_7, x_3_7, _e710);
                            metal::float4 _e712 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_7, x_3_7, _e712);
                        }
                        metal::float2 so_7_0_ = scales.inner[0u + feature_1];
                        {
                            float _e720 = dot_0_0_.x;
                            float _e722 = dot_0_0_.y;
                            float _e725 = dot_0_0_.z;
                            float _e727 = dot_0_0_.w;
                            float joined = (_e720 + _e722) + (_e725 + _e727);
                            float _e731 = total_0_0_;
                            total_0_0_ = metal::fma(so_7_0_.x, joined, _e731);
                            float _e738 = sums.inner[0u + row_1];
                            float _e739 = total_0_0_;
                            total_0_0_ = metal::fma(so_7_0_.y, _e738, _e739);
                            dot_0_0_ = metal::float4(0.0);
                        }
                        {
                            float _e744 = dot_1_0_.x;
                            float _e746 = dot_1_0_.y;
                            float _e749 = dot_1_0_.z;
                            float _e751 = dot_1_0_.w;
                            float joined_1 = (_e744 + _e746) + (_e749 + _e751);
                            float _e755 = total_1_0_;
                            total_1_0_ = metal::fma(so_7_0_.x, joined_1, _e755);
                            float _e762 = sums.inner[16u + row_1];
                            float _e763 = total_1_0_;
                            total_1_0_ = metal::fma(so_7_0_.y, _e762, _e763);
                            dot_1_0_ = metal::float4(0.0);
                        }
                        {
                            float _e768 = dot_2_0_.x;
                            float _e770 = dot_2_0_.y;
                            float _e773 = dot_2_0_.z;
                            float _e775 = dot_2_0_.w;
                            float joined_2 = (_e768 + _e770) + (_e773 + _e775);
                            float _e779 = total_2_0_;
                            total_2_0_ = metal::fma(so_7_0_.x, joined_2, _e779);
                            float _e786 = sums.inner[32u + row_1];
                            float _e787 = total_2_0_;
                            total_2_0_ = metal::fma(so_7_0_.y, _e786, _e787);
                            dot_2_0_ = metal::float4(0.0);
                        }
                        {
                            float _e792 = dot_3_0_.x;
                            float _e794 = dot_3_0_.y;
                            float _e797 = dot_3_0_.z;
                            float _e799 = dot_3_0_.w;
                            float joined_3 = (_e792 + _e794) + (_e797 + _e799);
                            float _e803 = total_3_0_;
                            total_3_0_ = metal::fma(so_7_0_.x, joined_3, _e803);
                            float _e810 = sums.inner[48u + row_1];
                            float _e811 = total_3_0_;
                            total_3_0_ = metal::fma(so_7_0_.y, _e810, _e811);
                            dot_3_0_ = metal::float4(0.0);
                        }
                        metal::float2 so_7_1_ = scales.inner[16u + feature_1];
                        {
                            float _e821 = dot_0_1_.x;
                            float _e823 = dot_0_1_.y;
                            float _e826 = dot_0_1_.z;
                            float _e828 = dot_0_1_.w;
                            float joined_4 = (_e821 + _e823) + (_e826 + _e828);
                            float _e832 = total_0_1_;
                            total_0_1_ = metal::fma(so_7_1_.x, joined_4, _e832);
                            float _e839 = sums.inner[0u + row_1];
                            float _e840 = total_0_1_;
                            total_0_1_ = metal::fma(so_7_1_.y, _e839, _e840);
                            dot_0_1_ = metal::float4(0.0);
                        }
                        {
                            float _e845 = dot_1_1_.x;
                            float _e847 = dot_1_1_.y;
                            float _e850 = dot_1_1_.z;
                            float _e852 = dot_1_1_.w;
                            float joined_5 = (_e845 + _e847) + (_e850 + _e852);
                            float _e856 = total_1_1_;
                            total_1_1_ = metal::fma(so_7_1_.x, joined_5, _e856);
                            float _e863 = sums.inner[16u + row_1];
                            float _e864 = total_1_1_;
                            total_1_1_ = metal::fma(so_7_1_.y, _e863, _e864);
                            dot_1_1_ = metal::float4(0.0);
                        }
                        {
                            float _e869 = dot_2_1_.x;
                            float _e871 = dot_2_1_.y;
                            float _e874 = dot_2_1_.z;
                            float _e876 = dot_2_1_.w;
                            float joined_6 = (_e869 + _e871) + (_e874 + _e876);
                            float _e880 = total_2_1_;
                            total_2_1_ = metal::fma(so_7_1_.x, joined_6, _e880);
                            float _e887 = sums.inner[32u + row_1];
                            float _e888 = total_2_1_;
                            total_2_1_ = metal::fma(so_7_1_.y, _e887, _e888);
                            dot_2_1_ = metal::float4(0.0);
                        }
                        {
                            float _e893 = dot_3_1_.x;
                            float _e895 = dot_3_1_.y;
                            float _e898 = dot_3_1_.z;
                            float _e900 = dot_3_1_.w;
                            float joined_7 = (_e893 + _e895) + (_e898 + _e900);
                            float _e904 = total_3_1_;
                            total_3_1_ = metal::fma(so_7_1_.x, joined_7, _e904);
                            float _e911 = sums.inner[48u + row_1];
                            float _e912 = total_3_1_;
                            total_3_1_ = metal::fma(so_7_1_.y, _e911, _e912);
                            dot_3_1_ = metal::float4(0.0);
                        }
                    }
                    {
                        dot_0_2_ = metal::float4(0.0);
                        dot_0_3_ = metal::float4(0.0);
                        dot_1_2_ = metal::float4(0.0);
                        dot_1_3_ = metal::float4(0.0);
                        dot_2_2_ = metal::float4(0.0);
                        dot_2_3_ = metal::float4(0.0);
                        dot_3_2_ = metal::float4(0.0);
                        dot_3_3_ = metal::float4(0.0);
                        {
                            metal::float4 w_2_ = codes_here.inner[32u + feature_1];
                            metal::float4 w_3_ = codes_here.inner[48u + feature_1];
                            metal::float4 x_0_9 = inputs.inner[0u + row_1];
                            metal::float4 _e955 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_, x_0_9, _e955);
                            metal::float4 _e957 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_, x_0_9, _e957);
                            metal::float4 x_1_9 = inputs.inner[16u + row_1];
                            metal::float4 _e964 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_, x_1_9, _e964);
                            metal::float4 _e966 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_, x_1_9, _e966);
                            metal::float4 x_2_8 = inputs.inner[32u + row_1];
                            metal::float4 _e973 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_, x_2_8, _e973);
                            metal::float4 _e975 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_, x_2_8, _e975);
                            metal::float4 x_3_8 = inputs.inner[48u + row_1];
                            metal::float4 _e982 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_, x_3_8, _e982);
                            metal::float4 _e984 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_, x_3_8, _e984);
                        }
                        {
                            metal::float4 w_2_1 = codes_here.inner[96u + feature_1];
                            metal::float4 w_3_1 = codes_here.inner[112u + feature_1];
                            metal::float4 x_0_10 = inputs.inner[65u + row_1];
                            metal::float4 _e1001 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_1, x_0_10, _e1001);
                            metal::float4 _e1003 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_1, x_0_10, _e1003);
                            metal::float4 x_1_10 = inputs.inner[81u + row_1];
                            metal::float4 _e1010 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_1, x_1_10, _e1010);
                            metal::float4 _e1012 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_1, x_1_10, _e1012);
                            metal::float4 x_2_9 = inputs.inner[97u + row_1];
                            metal::float4 _e1019 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_1, x_2_9, _e1019);
                            metal::float4 _e1021 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_1, x_2_9, _e1021);
                            metal::float4 x_3_9 = inputs.inner[113u + row_1];
                            metal::float4 _e1028 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_1, x_3_9, _e1028);
                            metal::float4 _e1030 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_1, x_3_9, _e1030);
                        }
                        {
                            metal::float4 w_2_2 = codes_here.inner[160u + feature_1];
                            metal::float4 w_3_2 = codes_here.inner[176u + feature_1];
                            metal::float4 x_0_11 = inputs.inner[130u + row_1];
                            metal::float4 _e1047 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_2, x_0_11, _e1047);
                            metal::float4 _e1049 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_2, x_0_11, _e1049);
                            metal::float4 x_1_11 = inputs.inner[146u + row_1];
                            metal::float4 _e1056 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_2, x_1_11, _e1056);
                            metal::float4 _e1058 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_2, x_1_11, _e1058);
                            metal::float4 x_2_10 = inputs.inner[162u + row_1];
                            metal::float4 _e1065 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_2, x_2_10, _e1065);
                            metal::float4 _e1067 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_2, x_2_10, _e1067);
                            metal::float4 x_3_10 = inputs.inner[178u + row_1];
                            metal::float4 _e1074 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_2, x_3_10, _e1074);
                            metal::float4 _e1076 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_2, x_3_10, _e1076);
                        }
                        {
                            metal::float4 w_2_3 = codes_here.inner[224u + feature_1];
                            metal::float4 w_3_3 = codes_here.inner[240u + feature_1];
                            metal::float4 x_0_12 = inputs.inner[195u + row_1];
                            metal::float4 _e1093 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_3, x_0_12, _e1093);
                            metal::float4 _e1095 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_3, x_0_12, _e1095);
                            metal::float4 x_1_12 = inputs.inner[211u + row_1];
                            metal::float4 _e1102 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_3, x_1_12, _e1102);
                            metal::float4 _e1104 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_3, x_1_12, _e1104);
                            metal::float4 x_2_11 = inputs.inner[227u + row_1];
                            metal::float4 _e1111 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_3, x_2_11, _e1111);
                            metal::float4 _e1113 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_3, x_2_11, _e1113);
                            metal::float4 x_3_11 = inputs.inner[243u + row_1];
                            metal::float4 _e1120 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_3, x_3_11, _e1120);
                            metal::float4 _e1122 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_3, x_3_11, _e1122);
                        }
                        {
                            metal::float4 w_2_4 = codes_here.inner[288u + feature_1];
                            metal::float4 w_3_4 = codes_here.inner[304u + feature_1];
                            metal::float4 x_0_13 = inputs.inner[260u + row_1];
                            metal::float4 _e1139 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_4, x_0_13, _e1139);
                            metal::float4 _e1141 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_4, x_0_13, _e1141);
                            metal::float4 x_1_13 = inputs.inner[276u + row_1];
                            metal::float4 _e1148 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_4, x_1_13, _e1148);
                            metal::float4 _e1150 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_4, x_1_13, _e1150);
                            metal::float4 x_2_12 = inputs.inner[292u + row_1];
                            metal::float4 _e1157 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_4, x_2_12, _e1157);
                            metal::float4 _e1159 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_4, x_2_12, _e1159);
                            metal::float4 x_3_12 = inputs.inner[308u + row_1];
                            metal::float4 _e1166 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_4, x_3_12, _e1166);
                            metal::float4 _e1168 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_4, x_3_12, _e1168);
                        }
                        {
                            metal::float4 w_2_5 = codes_here.inner[352u + feature_1];
                            metal::float4 w_3_5 = codes_here.inner[368u + feature_1];
                            metal::float4 x_0_14 = inputs.inner[325u + row_1];
                            metal::float4 _e1185 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_5, x_0_14, _e1185);
                            metal::float4 _e1187 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_5, x_0_14, _e1187);
                            metal::float4 x_1_14 = inputs.inner[341u + row_1];
                            metal::float4 _e1194 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_5, x_1_14, _e1194);
                            metal::float4 _e1196 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_5, x_1_14, _e1196);
                            metal::float4 x_2_13 = inputs.inner[357u + row_1];
                            metal::float4 _e1203 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_5, x_2_13, _e1203);
                            metal::float4 _e1205 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_5, x_2_13, _e1205);
                            metal::float4 x_3_13 = inputs.inner[373u + row_1];
                            metal::float4 _e1212 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_5, x_3_13, _e1212);
                            metal::float4 _e1214 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_5, x_3_13, _e1214);
                        }
                        {
                            metal::float4 w_2_6 = codes_here.inner[416u + feature_1];
                            metal::float4 w_3_6 = codes_here.inner[432u + feature_1];
                            metal::float4 x_0_15 = inputs.inner[390u + row_1];
                            metal::float4 _e1231 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_6, x_0_15, _e1231);
                            metal::float4 _e1233 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_6, x_0_15, _e1233);
                            metal::float4 x_1_15 = inputs.inner[406u + row_1];
                            metal::float4 _e1240 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_6, x_1_15, _e1240);
                            metal::float4 _e1242 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_6, x_1_15, _e1242);
                            metal::float4 x_2_14 = inputs.inner[422u + row_1];
                            metal::float4 _e1249 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_6, x_2_14, _e1249);
                            metal::float4 _e1251 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_6, x_2_14, _e1251);
                            metal::float4 x_3_14 = inputs.inner[438u + row_1];
                            metal::float4 _e1258 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_6, x_3_14, _e1258);
                            metal::float4 _e1260 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_6, x_3_14, _e1260);
                        }
                        {
                            metal::float4 w_2_7 = codes_here.inner[480u + feature_1];
                            metal::float4 w_3_7 = codes_here.inner[496u + feature_1];
                            metal::float4 x_0_16 = inputs.inner[455u + row_1];
                            metal::float4 _e1277 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_7, x_0_16, _e1277);
                            metal::float4 _e1279 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_7, x_0_16, _e1279);
                            metal::float4 x_1_16 = inputs.inner[471u + row_1];
                            metal::float4 _e1286 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_7, x_1_16, _e1286);
                            metal::float4 _e1288 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_7, x_1_16, _e1288);
                            metal::float4 x_2_15 = inputs.inner[487u + row_1];
                            metal::float4 _e1295 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_7, x_2_15, _e1295);
                            metal::float4 _e1297 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_7, x_2_15, _e1297);
                            metal::float4 x_3_15 = inputs.inner[503u + row_1];
                            metal::float4 _e1304 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_7, x_3_15, _e1304);
                            metal::float4 _e1306 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_7, x_3_15, _e1306);
                        }
                        metal::float2 so_7_2_ = scales.inner[32u + feature_1];
                        {
                            float _e1314 = dot_0_2_.x;
                            float _e1316 = dot_0_2_.y;
                            float _e1319 = dot_0_2_.z;
                            float _e1321 = dot_0_2_.w;
                            float joined_8 = (_e1314 + _e1316) + (_e1319 + _e1321);
                            float _e1325 = total_0_2_;
                            total_0_2_ = metal::fma(so_7_2_.x, joined_8, _e1325);
                            float _e1332 = sums.inner[0u + row_1];
                            float _e1333 = total_0_2_;
                            total_0_2_ = metal::fma(so_7_2_.y, _e1332, _e1333);
                            dot_0_2_ = metal::float4(0.0);
                        }
                        {
                            float _e1338 = dot_1_2_.x;
                            float _e1340 = dot_1_2_.y;
                            float _e1343 = dot_1_2_.z;
                            float _e1345 = dot_1_2_.w;
                            float joined_9 = (_e1338 + _e1340) + (_e1343 + _e1345);
                            float _e1349 = total_1_2_;
                            total_1_2_ = metal::fma(so_7_2_.x, joined_9, _e1349);
                            float _e1356 = sums.inner[16u + row_1];
                            float _e1357 = total_1_2_;
                            total_1_2_ = metal::fma(so_7_2_.y, _e1356, _e1357);
                            dot_1_2_ = metal::float4(0.0);
                        }
                        {
                            float _e1362 = dot_2_2_.x;
                            float _e1364 = dot_2_2_.y;
                            float _e1367 = dot_2_2_.z;
                            float _e1369 = dot_2_2_.w;
                            float joined_10 = (_e1362 + _e1364) + (_e1367 + _e1369);
                            float _e1373 = total_2_2_;
                            total_2_2_ = metal::fma(so_7_2_.x, joined_10, _e1373);
                            float _e1380 = sums.inner[32u + row_1];
                            float _e1381 = total_2_2_;
                            total_2_2_ = metal::fma(so_7_2_.y, _e1380, _e1381);
                            dot_2_2_ = metal::float4(0.0);
                        }
                        {
                            float _e1386 = dot_3_2_.x;
                            float _e1388 = dot_3_2_.y;
                            float _e1391 = dot_3_2_.z;
                            float _e1393 = dot_3_2_.w;
                            float joined_11 = (_e1386 + _e1388) + (_e1391 + _e1393);
                            float _e1397 = total_3_2_;
                            total_3_2_ = metal::fma(so_7_2_.x, joined_11, _e1397);
                            float _e1404 = sums.inner[48u + row_1];
                            float _e1405 = total_3_2_;
                            total_3_2_ = metal::fma(so_7_2_.y, _e1404, _e1405);
                            dot_3_2_ = metal::float4(0.0);
                        }
                        metal::float2 so_7_3_ = scales.inner[48u + feature_1];
                        {
                            float _e1415 = dot_0_3_.x;
                            float _e1417 = dot_0_3_.y;
                            float _e1420 = dot_0_3_.z;
                            float _e1422 = dot_0_3_.w;
                            float joined_12 = (_e1415 + _e1417) + (_e1420 + _e1422);
                            float _e1426 = total_0_3_;
                            total_0_3_ = metal::fma(so_7_3_.x, joined_12, _e1426);
                            float _e1433 = sums.inner[0u + row_1];
                            float _e1434 = total_0_3_;
                            total_0_3_ = metal::fma(so_7_3_.y, _e1433, _e1434);
                            dot_0_3_ = metal::float4(0.0);
                        }
                        {
                            float _e1439 = dot_1_3_.x;
                            float _e1441 = dot_1_3_.y;
                            float _e1444 = dot_1_3_.z;
                            float _e1446 = dot_1_3_.w;
                            float joined_13 = (_e1439 + _e1441) + (_e1444 + _e1446);
                            float _e1450 = total_1_3_;
                            total_1_3_ = metal::fma(so_7_3_.x, joined_13, _e1450);
                            float _e1457 = sums.inner[16u + row_1];
                            float _e1458 = total_1_3_;
                            total_1_3_ = metal::fma(so_7_3_.y, _e1457, _e1458);
                            dot_1_3_ = metal::float4(0.0);
                        }
                        {
                            float _e1463 = dot_2_3_.x;
                            float _e1465 = dot_2_3_.y;
                            float _e1468 = dot_2_3_.z;
                            float _e1470 = dot_2_3_.w;
                            float joined_14 = (_e1463 + _e1465) + (_e1468 + _e1470);
                            float _e1474 = total_2_3_;
                            total_2_3_ = metal::fma(so_7_3_.x, joined_14, _e1474);
                            float _e1481 = sums.inner[32u + row_1];
                            float _e1482 = total_2_3_;
                            total_2_3_ = metal::fma(so_7_3_.y, _e1481, _e1482);
                            dot_2_3_ = metal::float4(0.0);
                        }
                        {
                            float _e1487 = dot_3_3_.x;
                            float _e1489 = dot_3_3_.y;
                            float _e1492 = dot_3_3_.z;
                            float _e1494 = dot_3_3_.w;
                            float joined_15 = (_e1487 + _e1489) + (_e1492 + _e1494);
                            float _e1498 = total_3_3_;
                            total_3_3_ = metal::fma(so_7_3_.x, joined_15, _e1498);
                            float _e1505 = sums.inner[48u + row_1];
                            float _e1506 = total_3_3_;
                            total_3_3_ = metal::fma(so_7_3_.y, _e1505, _e1506);
                            dot_3_3_ = metal::float4(0.0);
                        }
                    }
                }
            }
            float _e1513 = whole_0_0_;
            float _e1514 = total_0_0_;
            whole_0_0_ = _e1513 + _e1514;
            float _e1516 = whole_0_1_;
            float _e1517 = total_0_1_;
            whole_0_1_ = _e1516 + _e1517;
            float _e1519 = whole_0_2_;
            float _e1520 = total_0_2_;
            whole_0_2_ = _e1519 + _e1520;
            float _e1522 = whole_0_3_;
            float _e1523 = total_0_3_;
            whole_0_3_ = _e1522 + _e1523;
            float _e1525 = whole_1_0_;
            float _e1526 = total_1_0_;
            whole_1_0_ = _e1525 + _e1526;
            float _e1528 = whole_1_1_;
            float _e1529 = total_1_1_;
            whole_1_1_ = _e1528 + _e1529;
            float _e1531 = whole_1_2_;
            float _e1532 = total_1_2_;
            whole_1_2_ = _e1531 + _e1532;
            float _e1534 = whole_1_3_;
            float _e1535 = total_1_3_;
            whole_1_3_ = _e1534 + _e1535;
            float _e1537 = whole_2_0_;
            float _e1538 = total_2_0_;
            whole_2_0_ = _e1537 + _e1538;
            float _e1540 = whole_2_1_;
            float _e1541 = total_2_1_;
            whole_2_1_ = _e1540 + _e1541;
            float _e1543 = whole_2_2_;
            float _e1544 = total_2_2_;
            whole_2_2_ = _e1543 + _e1544;
            float _e1546 = whole_2_3_;
            float _e1547 = total_2_3_;
            whole_2_3_ = _e1546 + _e1547;
            float _e1549 = whole_3_0_;
            float _e1550 = total_3_0_;
            whole_3_0_ = _e1549 + _e1550;
            float _e1552 = whole_3_1_;
            float _e1553 = total_3_1_;
            whole_3_1_ = _e1552 + _e1553;
            float _e1555 = whole_3_2_;
            float _e1556 = total_3_2_;
            whole_3_2_ = _e1555 + _e1556;
            float _e1558 = whole_3_3_;
            float _e1559 = total_3_3_;
            whole_3_3_ = _e1558 + _e1559;
        }
    }
    float _e1578 = whole_0_0_;
    store(((group.y * 64u) + row_1) + 0u, ((group.x * 64u) + feature_1) + 0u, _e1578, out, params, _buffer_sizes);
    float _e1591 = whole_0_1_;
    store(((group.y * 64u) + row_1) + 0u, ((group.x * 64u) + feature_1) + 16u, _e1591, out, params, _buffer_sizes);
    float _e1604 = whole_0_2_;
    store(((group.y * 64u) + row_1) + 0u, ((group.x * 64u) + feature_1) + 32u, _e1604, out, params, _buffer_sizes);
    float _e1617 = whole_0_3_;
    store(((group.y * 64u) + row_1) + 0u, ((group.x * 64u) + feature_1) + 48u, _e1617, out, params, _buffer_sizes);
    float _e1630 = whole_1_0_;
    store(((group.y * 64u) + row_1) + 16u, ((group.x * 64u) + feature_1) + 0u, _e1630, out, params, _buffer_sizes);
    float _e1643 = whole_1_1_;
    store(((group.y * 64u) + row_1) + 16u, ((group.x * 64u) + feature_1) + 16u, _e1643, out, params, _buffer_sizes);
    float _e1656 = whole_1_2_;
    store(((group.y * 64u) + row_1) + 16u, ((group.x * 64u) + feature_1) + 32u, _e1656, out, params, _buffer_sizes);
    float _e1669 = whole_1_3_;
    store(((group.y * 64u) + row_1) + 16u, ((group.x * 64u) + feature_1) + 48u, _e1669, out, params, _buffer_sizes);
    float _e1682 = whole_2_0_;
    store(((group.y * 64u) + row_1) + 32u, ((group.x * 64u) + feature_1) + 0u, _e1682, out, params, _buffer_sizes);
    float _e1695 = whole_2_1_;
    store(((group.y * 64u) + row_1) + 32u, ((group.x * 64u) + feature_1) + 16u, _e1695, out, params, _buffer_sizes);
    float _e1708 = whole_2_2_;
    store(((group.y * 64u) + row_1) + 32u, ((group.x * 64u) + feature_1) + 32u, _e1708, out, params, _buffer_sizes);
    float _e1721 = whole_2_3_;
    store(((group.y * 64u) + row_1) + 32u, ((group.x * 64u) + feature_1) + 48u, _e1721, out, params, _buffer_sizes);
    float _e1734 = whole_3_0_;
    store(((group.y * 64u) + row_1) + 48u, ((group.x * 64u) + feature_1) + 0u, _e1734, out, params, _buffer_sizes);
    float _e1747 = whole_3_1_;
    store(((group.y * 64u) + row_1) + 48u, ((group.x * 64u) + feature_1) + 16u, _e1747, out, params, _buffer_sizes);
    float _e1760 = whole_3_2_;
    store(((group.y * 64u) + row_1) + 48u, ((group.x * 64u) + feature_1) + 32u, _e1760, out, params, _buffer_sizes);
    float _e1773 = whole_3_3_;
    store(((group.y * 64u) + row_1) + 48u, ((group.x * 64u) + feature_1) + 48u, _e1773, out, params, _buffer_sizes);
    return;
}

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
    uint lane_1,
    device type_5 const& weight_scales,
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
    device type_5 const& weight_scales,
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
    device type_5 const& weight_scales,
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
    uint blocks_2 = naga_div(_e4 + 31u, 32u);
    uint _e11 = params.features;
    uint tiles = naga_div(_e11 + 31u, 32u);
    uint brought = thread_ & 63u;
    uint quarter = thread_ >> 6u;
    uint tile_3 = metal::min((group.x * 2u) + naga_div(brought, 32u), tiles - 1u);
    uint lane_4 = brought & 31u;
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
            uint _e1553 = first;
            uint _e1556 = params.part_blocks;
            first = _e1553 + _e1556;
        }
        loop_init = false;
        uint _e105 = first;
        if (_e105 < blocks_2) {
        } else {
            break;
        }
        {
            uint _e107 = first;
            uint _e110 = params.part_blocks;
            uint end = metal::min(_e107 + _e110, blocks_2);
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
                    uint _e1503 = block;
                    block = _e1503 + 1u;
                }
                loop_init_1 = false;
                uint _e147 = block;
                if (_e147 < end) {
                } else {
                    break;
                }
                {
                    uint _e150 = block;
                    Block _e152 = load_block((tile_3 * blocks_2) + _e150, lane_4, weight_codes, _buffer_sizes);
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
                        float _e272 = params.global_scale;
                        metal::float2 _e273 = scale_offset(tile_3, _e269, blocks_2, quarter, lane_4, _e272, weight_scales, _buffer_sizes);
                        scales.inner[thread_] = _e273;
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
                                uint _e299 = j;
                                j = _e299 + 1u;
                            }
                            loop_init_2 = false;
                            uint _e281 = j;
                            if (_e281 < 8u) {
                            } else {
                                break;
                            }
                            {
                                metal::float4 _e284 = sum;
                                uint _e288 = j;
                                metal::float4 _e294 = inputs.inner[(((quarter * 8u) + _e288) * 65u) + brought];
                                sum = _e284 + (_e294 * UNSCALE);
                            }
                        }
                        float _e304 = sum.x;
                        float _e306 = sum.y;
                        float _e309 = sum.z;
                        float _e311 = sum.w;
                        sums.inner[thread_] = (_e304 + _e306) + (_e309 + _e311);
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
                            metal::float4 _e353 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_, x_0_1, _e353);
                            metal::float4 _e355 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_, x_0_1, _e355);
                            metal::float4 x_1_1 = inputs.inner[16u + row_1];
                            metal::float4 _e362 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_, x_1_1, _e362);
                            metal::float4 _e364 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_, x_1_1, _e364);
                            metal::float4 x_2_ = inputs.inner[32u + row_1];
                            metal::float4 _e371 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_, x_2_, _e371);
                            metal::float4 _e373 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_, x_2_, _e373);
                            metal::float4 x_3_ = inputs.inner[48u + row_1];
                            metal::float4 _e380 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_, x_3_, _e380);
                            metal::float4 _e382 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_, x_3_, _e382);
                        }
                        {
                            metal::float4 w_0_1 = codes_here.inner[64u + feature_1];
                            metal::float4 w_1_1 = codes_here.inner[80u + feature_1];
                            metal::float4 x_0_2 = inputs.inner[65u + row_1];
                            metal::float4 _e399 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_1, x_0_2, _e399);
                            metal::float4 _e401 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_1, x_0_2, _e401);
                            metal::float4 x_1_2 = inputs.inner[81u + row_1];
                            metal::float4 _e408 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_1, x_1_2, _e408);
                            metal::float4 _e410 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_1, x_1_2, _e410);
                            metal::float4 x_2_1 = inputs.inner[97u + row_1];
                            metal::float4 _e417 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_1, x_2_1, _e417);
                            metal::float4 _e419 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_1, x_2_1, _e419);
                            metal::float4 x_3_1 = inputs.inner[113u + row_1];
                            metal::float4 _e426 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_1, x_3_1, _e426);
                            metal::float4 _e428 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_1, x_3_1, _e428);
                        }
                        {
                            metal::float4 w_0_2 = codes_here.inner[128u + feature_1];
                            metal::float4 w_1_2 = codes_here.inner[144u + feature_1];
                            metal::float4 x_0_3 = inputs.inner[130u + row_1];
                            metal::float4 _e445 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_2, x_0_3, _e445);
                            metal::float4 _e447 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_2, x_0_3, _e447);
                            metal::float4 x_1_3 = inputs.inner[146u + row_1];
                            metal::float4 _e454 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_2, x_1_3, _e454);
                            metal::float4 _e456 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_2, x_1_3, _e456);
                            metal::float4 x_2_2 = inputs.inner[162u + row_1];
                            metal::float4 _e463 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_2, x_2_2, _e463);
                            metal::float4 _e465 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_2, x_2_2, _e465);
                            metal::float4 x_3_2 = inputs.inner[178u + row_1];
                            metal::float4 _e472 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_2, x_3_2, _e472);
                            metal::float4 _e474 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_2, x_3_2, _e474);
                        }
                        {
                            metal::float4 w_0_3 = codes_here.inner[192u + feature_1];
                            metal::float4 w_1_3 = codes_here.inner[208u + feature_1];
                            metal::float4 x_0_4 = inputs.inner[195u + row_1];
                            metal::float4 _e491 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_3, x_0_4, _e491);
                            metal::float4 _e493 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_3, x_0_4, _e493);
                            metal::float4 x_1_4 = inputs.inner[211u + row_1];
                            metal::float4 _e500 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_3, x_1_4, _e500);
                            metal::float4 _e502 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_3, x_1_4, _e502);
                            metal::float4 x_2_3 = inputs.inner[227u + row_1];
                            metal::float4 _e509 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_3, x_2_3, _e509);
                            metal::float4 _e511 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_3, x_2_3, _e511);
                            metal::float4 x_3_3 = inputs.inner[243u + row_1];
                            metal::float4 _e518 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_3, x_3_3, _e518);
                            metal::float4 _e520 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_3, x_3_3, _e520);
                        }
                        {
                            metal::float4 w_0_4 = codes_here.inner[256u + feature_1];
                            metal::float4 w_1_4 = codes_here.inner[272u + feature_1];
                            metal::float4 x_0_5 = inputs.inner[260u + row_1];
                            metal::float4 _e537 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_4, x_0_5, _e537);
                            metal::float4 _e539 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_4, x_0_5, _e539);
                            metal::float4 x_1_5 = inputs.inner[276u + row_1];
                            metal::float4 _e546 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_4, x_1_5, _e546);
                            metal::float4 _e548 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_4, x_1_5, _e548);
                            metal::float4 x_2_4 = inputs.inner[292u + row_1];
                            metal::float4 _e555 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_4, x_2_4, _e555);
                            metal::float4 _e557 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_4, x_2_4, _e557);
                            metal::float4 x_3_4 = inputs.inner[308u + row_1];
                            metal::float4 _e564 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_4, x_3_4, _e564);
                            metal::float4 _e566 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_4, x_3_4, _e566);
                        }
                        {
                            metal::float4 w_0_5 = codes_here.inner[320u + feature_1];
                            metal::float4 w_1_5 = codes_here.inner[336u + feature_1];
                            metal::float4 x_0_6 = inputs.inner[325u + row_1];
                            metal::float4 _e583 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_5, x_0_6, _e583);
                            metal::float4 _e585 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_5, x_0_6, _e585);
                            metal::float4 x_1_6 = inputs.inner[341u + row_1];
                            metal::float4 _e592 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_5, x_1_6, _e592);
                            metal::float4 _e594 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_5, x_1_6, _e594);
                            metal::float4 x_2_5 = inputs.inner[357u + row_1];
                            metal::float4 _e601 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_5, x_2_5, _e601);
                            metal::float4 _e603 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_5, x_2_5, _e603);
                            metal::float4 x_3_5 = inputs.inner[373u + row_1];
                            metal::float4 _e610 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_5, x_3_5, _e610);
                            metal::float4 _e612 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_5, x_3_5, _e612);
                        }
                        {
                            metal::float4 w_0_6 = codes_here.inner[384u + feature_1];
                            metal::float4 w_1_6 = codes_here.inner[400u + feature_1];
                            metal::float4 x_0_7 = inputs.inner[390u + row_1];
                            metal::float4 _e629 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_6, x_0_7, _e629);
                            metal::float4 _e631 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_6, x_0_7, _e631);
                            metal::float4 x_1_7 = inputs.inner[406u + row_1];
                            metal::float4 _e638 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_6, x_1_7, _e638);
                            metal::float4 _e640 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_6, x_1_7, _e640);
                            metal::float4 x_2_6 = inputs.inner[422u + row_1];
                            metal::float4 _e647 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_6, x_2_6, _e647);
                            metal::float4 _e649 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_6, x_2_6, _e649);
                            metal::float4 x_3_6 = inputs.inner[438u + row_1];
                            metal::float4 _e656 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_6, x_3_6, _e656);
                            metal::float4 _e658 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_6, x_3_6, _e658);
                        }
                        {
                            metal::float4 w_0_7 = codes_here.inner[448u + feature_1];
                            metal::float4 w_1_7 = codes_here.inner[464u + feature_1];
                            metal::float4 x_0_8 = inputs.inner[455u + row_1];
                            metal::float4 _e675 = dot_0_0_;
                            dot_0_0_ = metal::fma(w_0_7, x_0_8, _e675);
                            metal::float4 _e677 = dot_0_1_;
                            dot_0_1_ = metal::fma(w_1_7, x_0_8, _e677);
                            metal::float4 x_1_8 = inputs.inner[471u + row_1];
                            metal::float4 _e684 = dot_1_0_;
                            dot_1_0_ = metal::fma(w_0_7, x_1_8, _e684);
                            metal::float4 _e686 = dot_1_1_;
                            dot_1_1_ = metal::fma(w_1_7, x_1_8, _e686);
                            metal::float4 x_2_7 = inputs.inner[487u + row_1];
                            metal::float4 _e693 = dot_2_0_;
                            dot_2_0_ = metal::fma(w_0_7, x_2_7, _e693);
                            metal::float4 _e695 = dot_2_1_;
                            dot_2_1_ = metal::fma(w_1_7, x_2_7, _e695);
                            metal::float4 x_3_7 = inputs.inner[503u + row_1];
                            metal::float4 _e702 = dot_3_0_;
                            dot_3_0_ = metal::fma(w_0_7, x_3_7, _e702);
                            metal::float4 _e704 = dot_3_1_;
                            dot_3_1_ = metal::fma(w_1_7, x_3_7, _e704);
                        }
                        metal::float2 so_7_0_ = scales.inner[0u + feature_1];
                        {
                            float _e712 = dot_0_0_.x;
                            float _e714 = dot_0_0_.y;
                            float _e717 = dot_0_0_.z;
                            float _e719 = dot_0_0_.w;
                            float joined = (_e712 + _e714) + (_e717 + _e719);
                            float _e723 = total_0_0_;
                            total_0_0_ = metal::fma(so_7_0_.x, joined, _e723);
                            float _e730 = sums.inner[0u + row_1];
                            float _e731 = total_0_0_;
                            total_0_0_ = metal::fma(so_7_0_.y, _e730, _e731);
                            dot_0_0_ = metal::float4(0.0);
                        }
                        {
                            float _e736 = dot_1_0_.x;
                            float _e738 = dot_1_0_.y;
                            float _e741 = dot_1_0_.z;
                            float _e743 = dot_1_0_.w;
                            float joined_1 = (_e736 + _e738) + (_e741 + _e743);
                            float _e747 = total_1_0_;
                            total_1_0_ = metal::fma(so_7_0_.x, joined_1, _e747);
                            float _e754 = sums.inner[16u + row_1];
                            float _e755 = total_1_0_;
                            total_1_0_ = metal::fma(so_7_0_.y, _e754, _e755);
                            dot_1_0_ = metal::float4(0.0);
                        }
                        {
                            float _e760 = dot_2_0_.x;
                            float _e762 = dot_2_0_.y;
                            float _e765 = dot_2_0_.z;
                            float _e767 = dot_2_0_.w;
                            float joined_2 = (_e760 + _e762) + (_e765 + _e767);
                            float _e771 = total_2_0_;
                            total_2_0_ = metal::fma(so_7_0_.x, joined_2, _e771);
                            float _e778 = sums.inner[32u + row_1];
                            float _e779 = total_2_0_;
                            total_2_0_ = metal::fma(so_7_0_.y, _e778, _e779);
                            dot_2_0_ = metal::float4(0.0);
                        }
                        {
                            float _e784 = dot_3_0_.x;
                            float _e786 = dot_3_0_.y;
                            float _e789 = dot_3_0_.z;
                            float _e791 = dot_3_0_.w;
                            float joined_3 = (_e784 + _e786) + (_e789 + _e791);
                            float _e795 = total_3_0_;
                            total_3_0_ = metal::fma(so_7_0_.x, joined_3, _e795);
                            float _e802 = sums.inner[48u + row_1];
                            float _e803 = total_3_0_;
                            total_3_0_ = metal::fma(so_7_0_.y, _e802, _e803);
                            dot_3_0_ = metal::float4(0.0);
                        }
                        metal::float2 so_7_1_ = scales.inner[16u + feature_1];
                        {
                            float _e813 = dot_0_1_.x;
                            float _e815 = dot_0_1_.y;
                            float _e818 = dot_0_1_.z;
                            float _e820 = dot_0_1_.w;
                            float joined_4 = (_e813 + _e815) + (_e818 + _e820);
                            float _e824 = total_0_1_;
                            total_0_1_ = metal::fma(so_7_1_.x, joined_4, _e824);
                            float _e831 = sums.inner[0u + row_1];
                            float _e832 = total_0_1_;
                            total_0_1_ = metal::fma(so_7_1_.y, _e831, _e832);
                            dot_0_1_ = metal::float4(0.0);
                        }
                        {
                            float _e837 = dot_1_1_.x;
                            float _e839 = dot_1_1_.y;
                            float _e842 = dot_1_1_.z;
                            float _e844 = dot_1_1_.w;
                            float joined_5 = (_e837 + _e839) + (_e842 + _e844);
                            float _e848 = total_1_1_;
                            total_1_1_ = metal::fma(so_7_1_.x, joined_5, _e848);
                            float _e855 = sums.inner[16u + row_1];
                            float _e856 = total_1_1_;
                            total_1_1_ = metal::fma(so_7_1_.y, _e855, _e856);
                            dot_1_1_ = metal::float4(0.0);
                        }
                        {
                            float _e861 = dot_2_1_.x;
                            float _e863 = dot_2_1_.y;
                            float _e866 = dot_2_1_.z;
                            float _e868 = dot_2_1_.w;
                            float joined_6 = (_e861 + _e863) + (_e866 + _e868);
                            float _e872 = total_2_1_;
                            total_2_1_ = metal::fma(so_7_1_.x, joined_6, _e872);
                            float _e879 = sums.inner[32u + row_1];
                            float _e880 = total_2_1_;
                            total_2_1_ = metal::fma(so_7_1_.y, _e879, _e880);
                            dot_2_1_ = metal::float4(0.0);
                        }
                        {
                            float _e885 = dot_3_1_.x;
                            float _e887 = dot_3_1_.y;
                            float _e890 = dot_3_1_.z;
                            float _e892 = dot_3_1_.w;
                            float joined_7 = (_e885 + _e887) + (_e890 + _e892);
                            float _e896 = total_3_1_;
                            total_3_1_ = metal::fma(so_7_1_.x, joined_7, _e896);
                            float _e903 = sums.inner[48u + row_1];
                            float _e904 = total_3_1_;
                            total_3_1_ = metal::fma(so_7_1_.y, _e903, _e904);
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
                            metal::float4 _e947 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_, x_0_9, _e947);
                            metal::float4 _e949 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_, x_0_9, _e949);
                            metal::float4 x_1_9 = inputs.inner[16u + row_1];
                            metal::float4 _e956 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_, x_1_9, _e956);
                            metal::float4 _e958 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_, x_1_9, _e958);
                            metal::float4 x_2_8 = inputs.inner[32u + row_1];
                            metal::float4 _e965 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_, x_2_8, _e965);
                            metal::float4 _e967 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_, x_2_8, _e967);
                            metal::float4 x_3_8 = inputs.inner[48u + row_1];
                            metal::float4 _e974 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_, x_3_8, _e974);
                            metal::float4 _e976 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_, x_3_8, _e976);
                        }
                        {
                            metal::float4 w_2_1 = codes_here.inner[96u + feature_1];
                            metal::float4 w_3_1 = codes_here.inner[112u + feature_1];
                            metal::float4 x_0_10 = inputs.inner[65u + row_1];
                            metal::float4 _e993 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_1, x_0_10, _e993);
                            metal::float4 _e995 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_1, x_0_10, _e995);
                            metal::float4 x_1_10 = inputs.inner[81u + row_1];
                            metal::float4 _e1002 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_1, x_1_10, _e1002);
                            metal::float4 _e1004 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_1, x_1_10, _e1004);
                            metal::float4 x_2_9 = inputs.inner[97u + row_1];
                            metal::float4 _e1011 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_1, x_2_9, _e1011);
                            metal::float4 _e1013 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_1, x_2_9, _e1013);
                            metal::float4 x_3_9 = inputs.inner[113u + row_1];
                            metal::float4 _e1020 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_1, x_3_9, _e1020);
                            metal::float4 _e1022 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_1, x_3_9, _e1022);
                        }
                        {
                            metal::float4 w_2_2 = codes_here.inner[160u + feature_1];
                            metal::float4 w_3_2 = codes_here.inner[176u + feature_1];
                            metal::float4 x_0_11 = inputs.inner[130u + row_1];
                            metal::float4 _e1039 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_2, x_0_11, _e1039);
                            metal::float4 _e1041 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_2, x_0_11, _e1041);
                            metal::float4 x_1_11 = inputs.inner[146u + row_1];
                            metal::float4 _e1048 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_2, x_1_11, _e1048);
                            metal::float4 _e1050 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_2, x_1_11, _e1050);
                            metal::float4 x_2_10 = inputs.inner[162u + row_1];
                            metal::float4 _e1057 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_2, x_2_10, _e1057);
                            metal::float4 _e1059 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_2, x_2_10, _e1059);
                            metal::float4 x_3_10 = inputs.inner[178u + row_1];
                            metal::float4 _e1066 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_2, x_3_10, _e1066);
                            metal::float4 _e1068 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_2, x_3_10, _e1068);
                        }
                        {
                            metal::float4 w_2_3 = codes_here.inner[224u + feature_1];
                            metal::float4 w_3_3 = codes_here.inner[240u + feature_1];
                            metal::float4 x_0_12 = inputs.inner[195u + row_1];
                            metal::float4 _e1085 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_3, x_0_12, _e1085);
                            metal::float4 _e1087 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_3, x_0_12, _e1087);
                            metal::float4 x_1_12 = inputs.inner[211u + row_1];
                            metal::float4 _e1094 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_3, x_1_12, _e1094);
                            metal::float4 _e1096 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_3, x_1_12, _e1096);
                            metal::float4 x_2_11 = inputs.inner[227u + row_1];
                            metal::float4 _e1103 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_3, x_2_11, _e1103);
                            metal::float4 _e1105 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_3, x_2_11, _e1105);
                            metal::float4 x_3_11 = inputs.inner[243u + row_1];
                            metal::float4 _e1112 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_3, x_3_11, _e1112);
                            metal::float4 _e1114 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_3, x_3_11, _e1114);
                        }
                        {
                            metal::float4 w_2_4 = codes_here.inner[288u + feature_1];
                            metal::float4 w_3_4 = codes_here.inner[304u + feature_1];
                            metal::float4 x_0_13 = inputs.inner[260u + row_1];
                            metal::float4 _e1131 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_4, x_0_13, _e1131);
                            metal::float4 _e1133 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_4, x_0_13, _e1133);
                            metal::float4 x_1_13 = inputs.inner[276u + row_1];
                            metal::float4 _e1140 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_4, x_1_13, _e1140);
                            metal::float4 _e1142 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_4, x_1_13, _e1142);
                            metal::float4 x_2_12 = inputs.inner[292u + row_1];
                            metal::float4 _e1149 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_4, x_2_12, _e1149);
                            metal::float4 _e1151 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_4, x_2_12, _e1151);
                            metal::float4 x_3_12 = inputs.inner[308u + row_1];
                            metal::float4 _e1158 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_4, x_3_12, _e1158);
                            metal::float4 _e1160 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_4, x_3_12, _e1160);
                        }
                        {
                            metal::float4 w_2_5 = codes_here.inner[352u + feature_1];
                            metal::float4 w_3_5 = codes_here.inner[368u + feature_1];
                            metal::float4 x_0_14 = inputs.inner[325u + row_1];
                            metal::float4 _e1177 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_5, x_0_14, _e1177);
                            metal::float4 _e1179 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_5, x_0_14, _e1179);
                            metal::float4 x_1_14 = inputs.inner[341u + row_1];
                            metal::float4 _e1186 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_5, x_1_14, _e1186);
                            metal::float4 _e1188 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_5, x_1_14, _e1188);
                            metal::float4 x_2_13 = inputs.inner[357u + row_1];
                            metal::float4 _e1195 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_5, x_2_13, _e1195);
                            metal::float4 _e1197 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_5, x_2_13, _e1197);
                            metal::float4 x_3_13 = inputs.inner[373u + row_1];
                            metal::float4 _e1204 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_5, x_3_13, _e1204);
                            metal::float4 _e1206 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_5, x_3_13, _e1206);
                        }
                        {
                            metal::float4 w_2_6 = codes_here.inner[416u + feature_1];
                            metal::float4 w_3_6 = codes_here.inner[432u + feature_1];
                            metal::float4 x_0_15 = inputs.inner[390u + row_1];
                            metal::float4 _e1223 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_6, x_0_15, _e1223);
                            metal::float4 _e1225 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_6, x_0_15, _e1225);
                            metal::float4 x_1_15 = inputs.inner[406u + row_1];
                            metal::float4 _e1232 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_6, x_1_15, _e1232);
                            metal::float4 _e1234 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_6, x_1_15, _e1234);
                            metal::float4 x_2_14 = inputs.inner[422u + row_1];
                            metal::float4 _e1241 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_6, x_2_14, _e1241);
                            metal::float4 _e1243 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_6, x_2_14, _e1243);
                            metal::float4 x_3_14 = inputs.inner[438u + row_1];
                            metal::float4 _e1250 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_6, x_3_14, _e1250);
                            metal::float4 _e1252 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_6, x_3_14, _e1252);
                        }
                        {
                            metal::float4 w_2_7 = codes_here.inner[480u + feature_1];
                            metal::float4 w_3_7 = codes_here.inner[496u + feature_1];
                            metal::float4 x_0_16 = inputs.inner[455u + row_1];
                            metal::float4 _e1269 = dot_0_2_;
                            dot_0_2_ = metal::fma(w_2_7, x_0_16, _e1269);
                            metal::float4 _e1271 = dot_0_3_;
                            dot_0_3_ = metal::fma(w_3_7, x_0_16, _e1271);
                            metal::float4 x_1_16 = inputs.inner[471u + row_1];
                            metal::float4 _e1278 = dot_1_2_;
                            dot_1_2_ = metal::fma(w_2_7, x_1_16, _e1278);
                            metal::float4 _e1280 = dot_1_3_;
                            dot_1_3_ = metal::fma(w_3_7, x_1_16, _e1280);
                            metal::float4 x_2_15 = inputs.inner[487u + row_1];
                            metal::float4 _e1287 = dot_2_2_;
                            dot_2_2_ = metal::fma(w_2_7, x_2_15, _e1287);
                            metal::float4 _e1289 = dot_2_3_;
                            dot_2_3_ = metal::fma(w_3_7, x_2_15, _e1289);
                            metal::float4 x_3_15 = inputs.inner[503u + row_1];
                            metal::float4 _e1296 = dot_3_2_;
                            dot_3_2_ = metal::fma(w_2_7, x_3_15, _e1296);
                            metal::float4 _e1298 = dot_3_3_;
                            dot_3_3_ = metal::fma(w_3_7, x_3_15, _e1298);
                        }
                        metal::float2 so_7_2_ = scales.inner[32u + feature_1];
                        {
                            float _e1306 = dot_0_2_.x;
                            float _e1308 = dot_0_2_.y;
                            float _e1311 = dot_0_2_.z;
                            float _e1313 = dot_0_2_.w;
                            float joined_8 = (_e1306 + _e1308) + (_e1311 + _e1313);
                            float _e1317 = total_0_2_;
                            total_0_2_ = metal::fma(so_7_2_.x, joined_8, _e1317);
                            float _e1324 = sums.inner[0u + row_1];
                            float _e1325 = total_0_2_;
                            total_0_2_ = metal::fma(so_7_2_.y, _e1324, _e1325);
                            dot_0_2_ = metal::float4(0.0);
                        }
                        {
                            float _e1330 = dot_1_2_.x;
                            float _e1332 = dot_1_2_.y;
                            float _e1335 = dot_1_2_.z;
                            float _e1337 = dot_1_2_.w;
                            float joined_9 = (_e1330 + _e1332) + (_e1335 + _e1337);
                            float _e1341 = total_1_2_;
                            total_1_2_ = metal::fma(so_7_2_.x, joined_9, _e1341);
                            float _e1348 = sums.inner[16u + row_1];
                            float _e1349 = total_1_2_;
                            total_1_2_ = metal::fma(so_7_2_.y, _e1348, _e1349);
                            dot_1_2_ = metal::float4(0.0);
                        }
                        {
                            float _e1354 = dot_2_2_.x;
                            float _e1356 = dot_2_2_.y;
                            float _e1359 = dot_2_2_.z;
                            float _e1361 = dot_2_2_.w;
                            float joined_10 = (_e1354 + _e1356) + (_e1359 + _e1361);
                            float _e1365 = total_2_2_;
                            total_2_2_ = metal::fma(so_7_2_.x, joined_10, _e1365);
                            float _e1372 = sums.inner[32u + row_1];
                            float _e1373 = total_2_2_;
                            total_2_2_ = metal::fma(so_7_2_.y, _e1372, _e1373);
                            dot_2_2_ = metal::float4(0.0);
                        }
                        {
                            float _e1378 = dot_3_2_.x;
                            float _e1380 = dot_3_2_.y;
                            float _e1383 = dot_3_2_.z;
                            float _e1385 = dot_3_2_.w;
                            float joined_11 = (_e1378 + _e1380) + (_e1383 + _e1385);
                            float _e1389 = total_3_2_;
                            total_3_2_ = metal::fma(so_7_2_.x, joined_11, _e1389);
                            float _e1396 = sums.inner[48u + row_1];
                            float _e1397 = total_3_2_;
                            total_3_2_ = metal::fma(so_7_2_.y, _e1396, _e1397);
                            dot_3_2_ = metal::float4(0.0);
                        }
                        metal::float2 so_7_3_ = scales.inner[48u + feature_1];
                        {
                            float _e1407 = dot_0_3_.x;
                            float _e1409 = dot_0_3_.y;
                            float _e1412 = dot_0_3_.z;
                            float _e1414 = dot_0_3_.w;
                            float joined_12 = (_e1407 + _e1409) + (_e1412 + _e1414);
                            float _e1418 = total_0_3_;
                            total_0_3_ = metal::fma(so_7_3_.x, joined_12, _e1418);
                            float _e1425 = sums.inner[0u + row_1];
                            float _e1426 = total_0_3_;
                            total_0_3_ = metal::fma(so_7_3_.y, _e1425, _e1426);
                            dot_0_3_ = metal::float4(0.0);
                        }
                        {
                            float _e1431 = dot_1_3_.x;
                            float _e1433 = dot_1_3_.y;
                            float _e1436 = dot_1_3_.z;
                            float _e1438 = dot_1_3_.w;
                            float joined_13 = (_e1431 + _e1433) + (_e1436 + _e1438);
                            float _e1442 = total_1_3_;
                            total_1_3_ = metal::fma(so_7_3_.x, joined_13, _e1442);
                            float _e1449 = sums.inner[16u + row_1];
                            float _e1450 = total_1_3_;
                            total_1_3_ = metal::fma(so_7_3_.y, _e1449, _e1450);
                            dot_1_3_ = metal::float4(0.0);
                        }
                        {
                            float _e1455 = dot_2_3_.x;
                            float _e1457 = dot_2_3_.y;
                            float _e1460 = dot_2_3_.z;
                            float _e1462 = dot_2_3_.w;
                            float joined_14 = (_e1455 + _e1457) + (_e1460 + _e1462);
                            float _e1466 = total_2_3_;
                            total_2_3_ = metal::fma(so_7_3_.x, joined_14, _e1466);
                            float _e1473 = sums.inner[32u + row_1];
                            float _e1474 = total_2_3_;
                            total_2_3_ = metal::fma(so_7_3_.y, _e1473, _e1474);
                            dot_2_3_ = metal::float4(0.0);
                        }
                        {
                            float _e1479 = dot_3_3_.x;
                            float _e1481 = dot_3_3_.y;
                            float _e1484 = dot_3_3_.z;
                            float _e1486 = dot_3_3_.w;
                            float joined_15 = (_e1479 + _e1481) + (_e1484 + _e1486);
                            float _e1490 = total_3_3_;
                            total_3_3_ = metal::fma(so_7_3_.x, joined_15, _e1490);
                            float _e1497 = sums.inner[48u + row_1];
                            float _e1498 = total_3_3_;
                            total_3_3_ = metal::fma(so_7_3_.y, _e1497, _e1498);
                            dot_3_3_ = metal::float4(0.0);
                        }
                    }
                }
            }
            float _e1505 = whole_0_0_;
            float _e1506 = total_0_0_;
            whole_0_0_ = _e1505 + _e1506;
            float _e1508 = whole_0_1_;
            float _e1509 = total_0_1_;
            whole_0_1_ = _e1508 + _e1509;
            float _e1511 = whole_0_2_;
            float _e1512 = total_0_2_;
            whole_0_2_ = _e1511 + _e1512;
            float _e1514 = whole_0_3_;
            float _e1515 = total_0_3_;
            whole_0_3_ = _e1514 + _e1515;
            float _e1517 = whole_1_0_;
            float _e1518 = total_1_0_;
            whole_1_0_ = _e1517 + _e1518;
            float _e1520 = whole_1_1_;
            float _e1521 = total_1_1_;
            whole_1_1_ = _e1520 + _e1521;
            float _e1523 = whole_1_2_;
            float _e1524 = total_1_2_;
            whole_1_2_ = _e1523 + _e1524;
            float _e1526 = whole_1_3_;
            float _e1527 = total_1_3_;
            whole_1_3_ = _e1526 + _e1527;
            float _e1529 = whole_2_0_;
            float _e1530 = total_2_0_;
            whole_2_0_ = _e1529 + _e1530;
            float _e1532 = whole_2_1_;
            float _e1533 = total_2_1_;
            whole_2_1_ = _e1532 + _e1533;
            float _e1535 = whole_2_2_;
            float _e1536 = total_2_2_;
            whole_2_2_ = _e1535 + _e1536;
            float _e1538 = whole_2_3_;
            float _e1539 = total_2_3_;
            whole_2_3_ = _e1538 + _e1539;
            float _e1541 = whole_3_0_;
            float _e1542 = total_3_0_;
            whole_3_0_ = _e1541 + _e1542;
            float _e1544 = whole_3_1_;
            float _e1545 = total_3_1_;
            whole_3_1_ = _e1544 + _e1545;
            float _e1547 = whole_3_2_;
            float _e1548 = total_3_2_;
            whole_3_2_ = _e1547 + _e1548;
            float _e1550 = whole_3_3_;
            float _e1551 = total_3_3_;
            whole_3_3_ = _e1550 + _e1551;
        }
    }
    float _e1570 = whole_0_0_;
    store(((group.y * 64u) + row_1) + 0u, ((group.x * 64u) + feature_1) + 0u, _e1570, out, params, _buffer_sizes);
    float _e1583 = whole_0_1_;
    store(((group.y * 64u) + row_1) + 0u, ((group.x * 64u) + feature_1) + 16u, _e1583, out, params, _buffer_sizes);
    float _e1596 = whole_0_2_;
    store(((group.y * 64u) + row_1) + 0u, ((group.x * 64u) + feature_1) + 32u, _e1596, out, params, _buffer_sizes);
    float _e1609 = whole_0_3_;
    store(((group.y * 64u) + row_1) + 0u, ((group.x * 64u) + feature_1) + 48u, _e1609, out, params, _buffer_sizes);
    float _e1622 = whole_1_0_;
    store(((group.y * 64u) + row_1) + 16u, ((group.x * 64u) + feature_1) + 0u, _e1622, out, params, _buffer_sizes);
    float _e1635 = whole_1_1_;
    store(((group.y * 64u) + row_1) + 16u, ((group.x * 64u) + feature_1) + 16u, _e1635, out, params, _buffer_sizes);
    float _e1648 = whole_1_2_;
    store(((group.y * 64u) + row_1) + 16u, ((group.x * 64u) + feature_1) + 32u, _e1648, out, params, _buffer_sizes);
    float _e1661 = whole_1_3_;
    store(((group.y * 64u) + row_1) + 16u, ((group.x * 64u) + feature_1) + 48u, _e1661, out, params, _buffer_sizes);
    float _e1674 = whole_2_0_;
    store(((group.y * 64u) + row_1) + 32u, ((group.x * 64u) + feature_1) + 0u, _e1674, out, params, _buffer_sizes);
    float _e1687 = whole_2_1_;
    store(((group.y * 64u) + row_1) + 32u, ((group.x * 64u) + feature_1) + 16u, _e1687, out, params, _buffer_sizes);
    float _e1700 = whole_2_2_;
    store(((group.y * 64u) + row_1) + 32u, ((group.x * 64u) + feature_1) + 32u, _e1700, out, params, _buffer_sizes);
    float _e1713 = whole_2_3_;
    store(((group.y * 64u) + row_1) + 32u, ((group.x * 64u) + feature_1) + 48u, _e1713, out, params, _buffer_sizes);
    float _e1726 = whole_3_0_;
    store(((group.y * 64u) + row_1) + 48u, ((group.x * 64u) + feature_1) + 0u, _e1726, out, params, _buffer_sizes);
    float _e1739 = whole_3_1_;
    store(((group.y * 64u) + row_1) + 48u, ((group.x * 64u) + feature_1) + 16u, _e1739, out, params, _buffer_sizes);
    float _e1752 = whole_3_2_;
    store(((group.y * 64u) + row_1) + 48u, ((group.x * 64u) + feature_1) + 32u, _e1752, out, params, _buffer_sizes);
    float _e1765 = whole_3_3_;
    store(((group.y * 64u) + row_1) + 48u, ((group.x * 64u) + feature_1) + 48u, _e1765, out, params, _buffer_sizes);
    return;
}

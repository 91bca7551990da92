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
};

typedef metal::float4 type_3[1];
typedef metal::uint2 type_5[1];
typedef uint type_6[1];
typedef metal::float4 Raw;
typedef Raw type_7[1];
typedef float type_8[1];
struct Params {
    uint row_stride;
    uint out_stride;
    uint splits;
    float scale;
    uint window;
    float cap;
    uint count;
};
struct type_9 {
    float inner[256];
};
struct type_10 {
    float inner[32];
};
struct type_12 {
    metal::float4 inner[528];
};
struct type_13 {
    uint inner[4];
};
struct Merge {
    float largest;
    float total;
    float before;
    float after;
};
struct type_14 {
    metal::float4 inner[784];
};
struct type_15 {
    uint inner[64];
};
constant uint GROUP = 8u;
constant uint BLOCK = 8u;
constant uint BLOCKS = 1u;
constant uint KV_HEADS = 2u;
constant uint KEY_DIM = 64u;
constant uint VALUE_DIM = 64u;
constant uint PAGE = 64u;
constant uint ELEMENT = 0u;
constant uint SPLIT = 256u;
constant uint MODE = 1u;
constant uint TILES = 4u;
constant uint CAP = 1u;
constant uint SINKS = 1u;
constant uint HEADS = 0u;
constant uint TILE_SLOTS = 32u;
constant float NONE = -300000000000000000000000000000000000000.0;

Raw kv_raw(
    uint index,
    device type_7 const& pages,
    constant _mslBufferSizes& _buffer_sizes
) {
    Raw _e3 = pages[index];
    return _e3;
}

metal::float4 kv_of(
    Raw raw
) {
    return raw;
}

metal::float4 kv_quad(
    uint index_1,
    device type_7 const& pages,
    constant _mslBufferSizes& _buffer_sizes
) {
    Raw _e1 = kv_raw(index_1, pages, _buffer_sizes);
    metal::float4 _e2 = kv_of(_e1);
    return _e2;
}

uint kv_page(
    uint page,
    uint head
) {
    return ((page * KV_HEADS) + head) * 2048u;
}

float score(
    metal::float4 sums,
    float key_scale,
    bool seen,
    constant Params& params
) {
    float score_1 = {};
    float _e12 = params.scale;
    score_1 = ((sums.x + sums.y) + (sums.z + sums.w)) * _e12;
    float _e17 = params.cap;
    float _e18 = score_1;
    float _e21 = params.cap;
    score_1 = _e17 * metal::tanh(_e18 / _e21);
    float _e26 = score_1;
    return seen ? _e26 : NONE;
}

bool is_seen(
    uint key,
    uint position,
    constant Params& params
) {
    bool local_3 = {};
    bool local_4 = {};
    if (key <= position) {
        uint _e7 = params.window;
        if (!((_e7 == 0u))) {
            uint _e15 = params.window;
            local_4 = (key + _e15) > position;
        } else {
            local_4 = true;
        }
        bool _e19 = local_4;
        local_3 = _e19;
    } else {
        local_3 = false;
    }
    bool _e21 = local_3;
    return _e21;
}

uint first_key(
    uint position_1,
    constant Params& params
) {
    bool local_5 = {};
    uint _e6 = params.window;
    uint _e10 = params.window;
    if (_e10 != 0u) {
        uint _e19 = params.window;
        local_5 = (position_1 + 1u) > _e19;
    } else {
        local_5 = false;
    }
    bool _e22 = local_5;
    return _e22 ? ((position_1 + 1u) - _e6) : 0u;
}

metal::float4 scores_of(
    uint slot,
    uint quad_,
    threadgroup type_12& scores
) {
    metal::float4 _e7 = scores.inner[(quad_ * 33u) + slot];
    return _e7;
}

void keep_weights(
    uint slot_1,
    uint quad_1,
    metal::float4 weights,
    threadgroup type_12& scores
) {
    scores.inner[(quad_1 * 33u) + slot_1] = weights;
    return;
}

uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}

uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}

void weigh(
    uint thread_1,
    threadgroup type_9& parts,
    threadgroup type_10& tile_largest,
    threadgroup type_10& tile_total,
    threadgroup type_12& scores
) {
    metal::float4 a_0_ = metal::float4(-300000000000000000000000000000000000000.0);
    metal::float4 b_0_ = metal::float4(-300000000000000000000000000000000000000.0);
    float most_0_ = NONE;
    uint i = 0u;
    bool local_6 = {};
    float sum = {};
    uint i_1 = 1u;
    uint eighth = naga_mod(thread_1, 8u);
    uint slot_0_ = naga_div(thread_1, 8u) + 0u;
    bool here_0_ = slot_0_ < 32u;
    if (here_0_) {
        metal::float4 _e17 = scores_of(slot_0_, eighth * 2u, scores);
        a_0_ = _e17;
        metal::float4 _e22 = scores_of(slot_0_, (eighth * 2u) + 1u, scores);
        b_0_ = _e22;
        metal::float4 _e23 = a_0_;
        metal::float4 _e24 = b_0_;
        metal::float4 both = metal::max(_e23, _e24);
        parts.inner[(slot_0_ * 8u) + eighth] = metal::max(metal::max(both.x, both.y), metal::max(both.z, both.w));
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (here_0_) {
        uint2 loop_bound = uint2(4294967295u);
        bool loop_init = true;
        while(true) {
            if (metal::all(loop_bound == uint2(0u))) { break; }
            loop_bound -= uint2(loop_bound.y == 0u, 1u);
            if (!loop_init) {
                uint _e55 = i;
                i = _e55 + 1u;
            }
            loop_init = false;
            uint _e42 = i;
            if (_e42 < 8u) {
            } else {
                break;
            }
            {
                float _e45 = most_0_;
                uint _e49 = i;
                float _e52 = parts.inner[(slot_0_ * 8u) + _e49];
                most_0_ = metal::max(_e45, _e52);
            }
        }
    }
    metal::float4 _e57 = a_0_;
    float _e58 = most_0_;
    a_0_ = metal::exp(_e57 - metal::float4(metal::max(_e58, -100000000000000000000000000000000000000.0)));
    metal::float4 _e64 = b_0_;
    float _e65 = most_0_;
    b_0_ = metal::exp(_e64 - metal::float4(metal::max(_e65, -100000000000000000000000000000000000000.0)));
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (here_0_) {
        float _e77 = a_0_.x;
        float _e79 = a_0_.y;
        float _e82 = a_0_.z;
        float _e84 = a_0_.w;
        float _e88 = b_0_.x;
        float _e90 = b_0_.y;
        float _e93 = b_0_.z;
        float _e95 = b_0_.w;
        parts.inner[(slot_0_ * 8u) + eighth] = ((_e77 + _e79) + (_e82 + _e84)) + ((_e88 + _e90) + (_e93 + _e95));
        metal::float4 _e101 = a_0_;
        keep_weights(slot_0_, eighth * 2u, _e101, scores);
        metal::float4 _e106 = b_0_;
        keep_weights(slot_0_, (eighth * 2u) + 1u, _e106, scores);
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (here_0_) {
        local_6 = eighth == 0u;
    } else {
        local_6 = false;
    }
    bool _e112 = local_6;
    if (_e112) {
        float _e117 = parts.inner[slot_0_ * 8u];
        sum = _e117;
        uint2 loop_bound_1 = uint2(4294967295u);
        bool loop_init_1 = true;
        while(true) {
            if (metal::all(loop_bound_1 == uint2(0u))) { break; }
            loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
            if (!loop_init_1) {
                uint _e134 = i_1;
                i_1 = _e134 + 1u;
            }
            loop_init_1 = false;
            uint _e121 = i_1;
            if (_e121 < 8u) {
            } else {
                break;
            }
            {
                float _e124 = sum;
                uint _e128 = i_1;
                float _e131 = parts.inner[(slot_0_ * 8u) + _e128];
                sum = _e124 + _e131;
            }
        }
        float _e138 = most_0_;
        tile_largest.inner[slot_0_] = _e138;
        float _e141 = sum;
        tile_total.inner[slot_0_] = _e141;
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    return;
}

uint rows_of_tile(
    uint first,
    uint thread_2,
    device type_5 const& rows,
    constant Params& params,
    threadgroup type_13& follows,
    threadgroup uint& tile_rows,
    constant _mslBufferSizes& _buffer_sizes
) {
    bool local_7 = {};
    bool local_8 = {};
    bool local_9 = {};
    bool local_10 = {};
    bool local_11 = {};
    bool local_12 = {};
    uint count = 0u;
    bool local_13 = {};
    bool local_14 = {};
    metal::uint2 row = rows[first];
    if (thread_2 < 4u) {
        uint _e11 = params.count;
        metal::uint2 other = rows[metal::min(first + thread_2, _e11 - 1u)];
        uint _e20 = params.count;
        if ((first + thread_2) < _e20) {
            local_7 = (naga_mod(row.x, 4u) + thread_2) < 4u;
        } else {
            local_7 = false;
        }
        bool near = local_7;
        if (near) {
            local_8 = other.y == row.y;
        } else {
            local_8 = false;
        }
        bool _e40 = local_8;
        if (_e40) {
            local_9 = other.x == (row.x + thread_2);
        } else {
            local_9 = false;
        }
        bool _e48 = local_9;
        follows.inner[thread_2] = static_cast<uint>(_e48);
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (thread_2 == 0u) {
        metal::uint2 before = rows[metal::max(first, 1u) - 1u];
        if (first > 0u) {
            local_10 = naga_mod(row.x, 4u) != 0u;
        } else {
            local_10 = false;
        }
        bool _e69 = local_10;
        if (_e69) {
            local_11 = before.y == row.y;
        } else {
            local_11 = false;
        }
        bool _e76 = local_11;
        if (_e76) {
            local_12 = (before.x + 1u) == row.x;
        } else {
            local_12 = false;
        }
        bool goes_on = local_12;
        if (row.x != 4294967295u) {
            local_13 = !(goes_on);
        } else {
            local_13 = false;
        }
        bool _e95 = local_13;
        if (_e95) {
            uint2 loop_bound_2 = uint2(4294967295u);
            while(true) {
                if (metal::all(loop_bound_2 == uint2(0u))) { break; }
                loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
                uint _e96 = count;
                if (_e96 < 4u) {
                    uint _e102 = count;
                    uint _e106 = follows.inner[metal::min(_e102, 3u)];
                    local_14 = _e106 == 1u;
                } else {
                    local_14 = false;
                }
                bool _e110 = local_14;
                if (_e110) {
                } else {
                    break;
                }
                {
                    uint _e112 = count;
                    count = _e112 + 1u;
                }
            }
        }
        uint _e115 = count;
        tile_rows = _e115;
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    uint unnamed = tile_rows;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    return unnamed;
}

Merge merge(
    float largest,
    float total,
    float next_largest,
    float next_total
) {
    float most = metal::max(largest, next_largest);
    float before_1 = metal::exp(largest - most);
    float after = metal::exp(next_largest - most);
    return Merge {most, metal::fma(total, before_1, next_total * after), before_1, after};
}

float finish(
    float largest_1,
    float total_1,
    uint head_1,
    device type_8 const& sinks,
    constant _mslBufferSizes& _buffer_sizes
) {
    float _e5 = sinks[head_1];
    Merge _e7 = merge(largest_1, total_1, _e5, 1.0);
    return _e7.before / _e7.total;
}

metal::float4 value_quad(
    uint slice_2,
    uint item,
    device type_7 const& pages,
    threadgroup type_15& value_at,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e7 = value_at.inner[slice_2 + naga_div(item, 16u)];
    metal::float4 _e13 = kv_quad(_e7 + metal::min(naga_mod(item, 16u), 15u), pages, _buffer_sizes);
    return _e13;
}

struct main_Input {
};
[[max_total_threads_per_threadgroup(256)]] kernel void main_(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint thread_ [[thread_index_in_threadgroup]]
, device type_3 const& qkv [[user(fake0)]]
, device type_5 const& rows [[user(fake0)]]
, device type_6 const& tables [[user(fake0)]]
, device type_7 const& pages [[user(fake0)]]
, device type_8 const& sinks [[user(fake0)]]
, device type_8& out [[user(fake0)]]
, constant Params& params [[user(fake0)]]
, threadgroup type_9& parts
, threadgroup type_10& tile_largest
, threadgroup type_10& tile_total
, threadgroup type_12& scores
, threadgroup type_13& follows
, threadgroup uint& tile_rows
, threadgroup type_14& staged
, threadgroup type_15& key_at
, threadgroup type_15& value_at
, constant _mslBufferSizes& _buffer_sizes [[user(fake0)]]
) {
    if (thread_ == 0u) {
        parts = {};
        tile_largest = {};
        tile_total = {};
        scores = {};
        follows = {};
        tile_rows = {};
        staged = {};
        key_at = {};
        value_at = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float whole_largest_0_ = NONE;
    float whole_total_0_ = 0.0;
    metal::float4 whole_0_0_ = metal::float4(0.0);
    float whole_largest_1_ = NONE;
    float whole_total_1_ = 0.0;
    metal::float4 whole_1_0_ = metal::float4(0.0);
    uint split = {};
    float largest_0_ = {};
    float total_0_ = {};
    metal::float4 split_0_0_ = {};
    float largest_1_ = {};
    float total_1_ = {};
    metal::float4 split_1_0_ = {};
    uint start = {};
    bool local = {};
    metal::float4 sums_0_0_ = {};
    metal::float4 sums_0_1_ = {};
    metal::float4 sums_0_2_ = {};
    metal::float4 sums_0_3_ = {};
    metal::float4 sums_1_0_ = {};
    metal::float4 sums_1_1_ = {};
    metal::float4 sums_1_2_ = {};
    metal::float4 sums_1_3_ = {};
    metal::float4 key_0_ = {};
    metal::float4 key_1_ = {};
    metal::float4 query = {};
    uint slice = {};
    metal::float4 value_0_ = {};
    metal::float4 value_1_ = {};
    metal::float4 sum_0_0_ = {};
    metal::float4 sum_1_0_ = {};
    uint slice_1 = {};
    uint k = {};
    bool local_1 = {};
    bool local_2 = {};
    uint _e4 = params.count;
    uint first_row = (_e4 - 1u) - group.z;
    uint _e9 = rows_of_tile(first_row, thread_, rows, params, follows, tile_rows, _buffer_sizes);
    if (_e9 < 2u) {
        return;
    }
    metal::uint2 row_1 = rows[first_row];
    uint last = (row_1.x + _e9) - 1u;
    uint _e20 = first_key(row_1.x, params);
    uint head_2 = naga_div(group.y, BLOCKS);
    uint first_head = (head_2 * GROUP) + (naga_mod(group.y, BLOCKS) * BLOCK);
    uint heads_here = metal::min(BLOCK, ((head_2 + 1u) * GROUP) - first_head);
    uint column = naga_mod(thread_, 16u);
    uint slot_2 = naga_div(thread_, 16u);
    uint quad_2 = naga_mod(thread_, 8u);
    uint brought = naga_div(thread_, 8u);
    uint query_row = first_row + metal::min(naga_div(brought, 8u), _e9 - 1u);
    uint query_head = first_head + metal::min(naga_mod(brought, 8u), heads_here - 1u);
    uint _e61 = params.row_stride;
    uint query_at = (query_row * naga_div(_e61, 4u)) + (query_head * 16u);
    uint position_0_ = row_1.x + naga_div(slot_2 + 0u, 8u);
    uint position_1_ = row_1.x + naga_div(slot_2 + 16u, 8u);
    split = naga_div(_e20, SPLIT);
    uint2 loop_bound_3 = uint2(4294967295u);
    bool loop_init_2 = true;
    while(true) {
        if (metal::all(loop_bound_3 == uint2(0u))) { break; }
        loop_bound_3 -= uint2(loop_bound_3.y == 0u, 1u);
        if (!loop_init_2) {
            uint _e1000 = split;
            split = _e1000 + 1u;
        }
        loop_init_2 = false;
        uint _e97 = split;
        if (_e97 <= naga_div(last, SPLIT)) {
        } else {
            break;
        }
        {
            largest_0_ = NONE;
            total_0_ = 0.0;
            split_0_0_ = metal::float4(0.0);
            largest_1_ = NONE;
            total_1_ = 0.0;
            split_1_0_ = metal::float4(0.0);
            uint _e115 = split;
            start = _e115 * SPLIT;
            uint2 loop_bound_4 = uint2(4294967295u);
            bool loop_init_3 = true;
            while(true) {
                if (metal::all(loop_bound_4 == uint2(0u))) { break; }
                loop_bound_4 -= uint2(loop_bound_4.y == 0u, 1u);
                if (!loop_init_3) {
                    uint _e968 = start;
                    start = _e968 + 64u;
                }
                loop_init_3 = false;
                uint _e119 = start;
                uint _e120 = split;
                if (_e119 < ((_e120 + 1u) * SPLIT)) {
                } else {
                    break;
                }
                {
                    uint _e126 = start;
                    if (!((_e126 > last))) {
                        uint _e131 = start;
                        local = (_e131 + 64u) <= _e20;
                    } else {
                        local = true;
                    }
                    bool _e136 = local;
                    if (_e136) {
                        continue;
                    }
                    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                    if (thread_ < 64u) {
                        uint _e139 = start;
                        uint key_1 = metal::clamp(_e139 + thread_, _e20, last);
                        uint page_1 = tables[row_1.y + naga_div(key_1, PAGE)];
                        uint _e149 = kv_page(page_1, head_2);
                        key_at.inner[thread_] = _e149 + (naga_mod(key_1, PAGE) * 16u);
                        value_at.inner[thread_] = (_e149 + 1024u) + (naga_mod(key_1, PAGE) * 16u);
                    }
                    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                    sums_0_0_ = metal::float4(0.0);
                    sums_0_1_ = metal::float4(0.0);
                    sums_0_2_ = metal::float4(0.0);
                    sums_0_3_ = metal::float4(0.0);
                    sums_1_0_ = metal::float4(0.0);
                    sums_1_1_ = metal::float4(0.0);
                    sums_1_2_ = metal::float4(0.0);
                    sums_1_3_ = metal::float4(0.0);
                    uint key_at_0_ = key_at.inner[brought + 0u];
                    metal::float4 _e198 = kv_quad(key_at_0_ + metal::min(quad_2, 15u), pages, _buffer_sizes);
                    key_0_ = _e198;
                    uint key_at_1_ = key_at.inner[brought + 32u];
                    metal::float4 _e208 = kv_quad(key_at_1_ + metal::min(quad_2, 15u), pages, _buffer_sizes);
                    key_1_ = _e208;
                    metal::float4 _e215 = qkv[query_at + metal::min(quad_2, 15u)];
                    query = _e215;
                    slice = 0u;
                    uint2 loop_bound_5 = uint2(4294967295u);
                    bool loop_init_4 = true;
                    while(true) {
                        if (metal::all(loop_bound_5 == uint2(0u))) { break; }
                        loop_bound_5 -= uint2(loop_bound_5.y == 0u, 1u);
                        if (!loop_init_4) {
                            uint _e649 = slice;
                            slice = _e649 + 8u;
                        }
                        loop_init_4 = false;
                        uint _e219 = slice;
                        if (_e219 < 16u) {
                        } else {
                            break;
                        }
                        {
                            uint _e222 = slice;
                            bool inside = (_e222 + quad_2) < 16u;
                            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                            metal::float4 _e240 = key_0_;
                            staged.inner[(((quad_2 * 65u) + (naga_mod(brought, 4u) * 16u)) + naga_div(brought, 4u)) + 0u] = _e240;
                            metal::float4 _e255 = key_1_;
                            staged.inner[(((quad_2 * 65u) + (naga_mod(brought, 4u) * 16u)) + naga_div(brought, 4u)) + 8u] = _e255;
                            metal::float4 _e265 = query;
                            staged.inner[(520u + (quad_2 * 33u)) + brought] = inside ? _e265 : metal::float4(0.0);
                            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                            uint _e267 = slice;
                            uint next = metal::min((_e267 + 8u) + quad_2, 15u);
                            metal::float4 _e274 = kv_quad(key_at_0_ + next, pages, _buffer_sizes);
                            key_0_ = _e274;
                            metal::float4 _e276 = kv_quad(key_at_1_ + next, pages, _buffer_sizes);
                            key_1_ = _e276;
                            metal::float4 _e280 = qkv[query_at + next];
                            query = _e280;
                            {
                                metal::float4 k_0_ = staged.inner[0u + column];
                                metal::float4 k_1_ = staged.inner[16u + column];
                                metal::float4 k_2_ = staged.inner[32u + column];
                                metal::float4 k_3_ = staged.inner[48u + column];
                                metal::float4 q_0_ = staged.inner[520u + slot_2];
                                metal::float4 _e306 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_, k_0_, _e306);
                                metal::float4 _e308 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_, k_1_, _e308);
                                metal::float4 _e310 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_, k_2_, _e310);
                                metal::float4 _e312 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_, k_3_, _e312);
                                metal::float4 q_1_ = staged.inner[536u + slot_2];
                                metal::float4 _e319 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_, k_0_, _e319);
                                metal::float4 _e321 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_, k_1_, _e321);
                                metal::float4 _e323 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_, k_2_, _e323);
                                metal::float4 _e325 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_, k_3_, _e325);
                            }
                            {
                                metal::float4 k_0_1 = staged.inner[65u + column];
                                metal::float4 k_1_1 = staged.inner[81u + column];
                                metal::float4 k_2_1 = staged.inner[97u + column];
                                metal::float4 k_3_1 = staged.inner[113u + column];
                                metal::float4 q_0_1 = staged.inner[553u + slot_2];
                                metal::float4 _e352 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_1, k_0_1, _e352);
                                metal::float4 _e354 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_1, k_1_1, _e354);
                                metal::float4 _e356 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_1, k_2_1, _e356);
                                metal::float4 _e358 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_1, k_3_1, _e358);
                                metal::float4 q_1_1 = staged.inner[569u + slot_2];
                                metal::float4 _e365 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_1, k_0_1, _e365);
                                metal::float4 _e367 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_1, k_1_1, _e367);
                                metal::float4 _e369 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_1, k_2_1, _e369);
                                metal::float4 _e371 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_1, k_3_1, _e371);
                            }
                            {
                                metal::float4 k_0_2 = staged.inner[130u + column];
                                metal::float4 k_1_2 = staged.inner[146u + column];
                                metal::float4 k_2_2 = staged.inner[162u + column];
                                metal::float4 k_3_2 = staged.inner[178u + column];
                                metal::float4 q_0_2 = staged.inner[586u + slot_2];
                                metal::float4 _e398 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_2, k_0_2, _e398);
                                metal::float4 _e400 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_2, k_1_2, _e400);
                                metal::float4 _e402 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_2, k_2_2, _e402);
                                metal::float4 _e404 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_2, k_3_2, _e404);
                                metal::float4 q_1_2 = staged.inner[602u + slot_2];
                                metal::float4 _e411 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_2, k_0_2, _e411);
                                metal::float4 _e413 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_2, k_1_2, _e413);
                                metal::float4 _e415 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_2, k_2_2, _e415);
                                metal::float4 _e417 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_2, k_3_2, _e417);
                            }
                            {
                                metal::float4 k_0_3 = staged.inner[195u + column];
                                metal::float4 k_1_3 = staged.inner[211u + column];
                                metal::float4 k_2_3 = staged.inner[227u + column];
                                metal::float4 k_3_3 = staged.inner[243u + column];
                                metal::float4 q_0_3 = staged.inner[619u + slot_2];
                                metal::float4 _e444 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_3, k_0_3, _e444);
                                metal::float4 _e446 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_3, k_1_3, _e446);
                                metal::float4 _e448 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_3, k_2_3, _e448);
                                metal::float4 _e450 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_3, k_3_3, _e450);
                                metal::float4 q_1_3 = staged.inner[635u + slot_2];
                                metal::float4 _e457 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_3, k_0_3, _e457);
                                metal::float4 _e459 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_3, k_1_3, _e459);
                                metal::float4 _e461 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_3, k_2_3, _e461);
                                metal::float4 _e463 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_3, k_3_3, _e463);
                            }
                            {
                                metal::float4 k_0_4 = staged.inner[260u + column];
                                metal::float4 k_1_4 = staged.inner[276u + column];
                                metal::float4 k_2_4 = staged.inner[292u + column];
                                metal::float4 k_3_4 = staged.inner[308u + column];
                                metal::float4 q_0_4 = staged.inner[652u + slot_2];
                                metal::float4 _e490 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_4, k_0_4, _e490);
                                metal::float4 _e492 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_4, k_1_4, _e492);
                                metal::float4 _e494 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_4, k_2_4, _e494);
                                metal::float4 _e496 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_4, k_3_4, _e496);
                                metal::float4 q_1_4 = staged.inner[668u + slot_2];
                                metal::float4 _e503 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_4, k_0_4, _e503);
                                metal::float4 _e505 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_4, k_1_4, _e505);
                                metal::float4 _e507 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_4, k_2_4, _e507);
                                metal::float4 _e509 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_4, k_3_4, _e509);
                            }
                            {
                                metal::float4 k_0_5 = staged.inner[325u + column];
                                metal::float4 k_1_5 = staged.inner[341u + column];
                                metal::float4 k_2_5 = staged.inner[357u + column];
                                metal::float4 k_3_5 = staged.inner[373u + column];
                                metal::float4 q_0_5 = staged.inner[685u + slot_2];
                                metal::float4 _e536 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_5, k_0_5, _e536);
                                metal::float4 _e538 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_5, k_1_5, _e538);
                                metal::float4 _e540 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_5, k_2_5, _e540);
                                metal::float4 _e542 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_5, k_3_5, _e542);
                                metal::float4 q_1_5 = staged.inner[701u + slot_2];
                                metal::float4 _e549 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_5, k_0_5, _e549);
                                metal::float4 _e551 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_5, k_1_5, _e551);
                                metal::float4 _e553 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_5, k_2_5, _e553);
                                metal::float4 _e555 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_5, k_3_5, _e555);
                            }
                            {
                                metal::float4 k_0_6 = staged.inner[390u + column];
                                metal::float4 k_1_6 = staged.inner[406u + column];
                                metal::float4 k_2_6 = staged.inner[422u + column];
                                metal::float4 k_3_6 = staged.inner[438u + column];
                                metal::float4 q_0_6 = staged.inner[718u + slot_2];
                                metal::float4 _e582 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_6, k_0_6, _e582);
                                metal::float4 _e584 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_6, k_1_6, _e584);
                                metal::float4 _e586 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_6, k_2_6, _e586);
                                metal::float4 _e588 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_6, k_3_6, _e588);
                                metal::float4 q_1_6 = staged.inner[734u + slot_2];
                                metal::float4 _e595 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_6, k_0_6, _e595);
                                metal::float4 _e597 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_6, k_1_6, _e597);
                                metal::float4 _e599 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_6, k_2_6, _e599);
                                metal::float4 _e601 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_6, k_3_6, _e601);
                            }
                            {
                                metal::float4 k_0_7 = staged.inner[455u + column];
                                metal::float4 k_1_7 = staged.inner[471u + column];
                                metal::float4 k_2_7 = staged.inner[487u + column];
                                metal::float4 k_3_7 = staged.inner[503u + column];
                                metal::float4 q_0_7 = staged.inner[751u + slot_2];
                                metal::float4 _e628 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_7, k_0_7, _e628);
                                metal::float4 _e630 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_7, k_1_7, _e630);
                                metal::float4 _e632 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_7, k_2_7, _e632);
                                metal::float4 _e634 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_7, k_3_7, _e634);
                                metal::float4 q_1_7 = staged.inner[767u + slot_2];
                                metal::float4 _e641 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_7, k_0_7, _e641);
                                metal::float4 _e643 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_7, k_1_7, _e643);
                                metal::float4 _e645 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_7, k_2_7, _e645);
                                metal::float4 _e647 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_7, k_3_7, _e647);
                            }
                        }
                    }
                    metal::float4 _e659 = sums_0_0_;
                    uint _e661 = start;
                    bool _e667 = is_seen((_e661 + (column * 4u)) + 0u, position_0_, params);
                    float _e668 = score(_e659, 1.0, _e667, params);
                    metal::float4 _e669 = sums_0_1_;
                    uint _e671 = start;
                    bool _e677 = is_seen((_e671 + (column * 4u)) + 1u, position_0_, params);
                    float _e678 = score(_e669, 1.0, _e677, params);
                    metal::float4 _e679 = sums_0_2_;
                    uint _e681 = start;
                    bool _e687 = is_seen((_e681 + (column * 4u)) + 2u, position_0_, params);
                    float _e688 = score(_e679, 1.0, _e687, params);
                    metal::float4 _e689 = sums_0_3_;
                    uint _e691 = start;
                    bool _e697 = is_seen((_e691 + (column * 4u)) + 3u, position_0_, params);
                    float _e698 = score(_e689, 1.0, _e697, params);
                    scores.inner[((column * 33u) + slot_2) + 0u] = metal::float4(_e668, _e678, _e688, _e698);
                    metal::float4 _e707 = sums_1_0_;
                    uint _e709 = start;
                    bool _e715 = is_seen((_e709 + (column * 4u)) + 0u, position_1_, params);
                    float _e716 = score(_e707, 1.0, _e715, params);
                    metal::float4 _e717 = sums_1_1_;
                    uint _e719 = start;
                    bool _e725 = is_seen((_e719 + (column * 4u)) + 1u, position_1_, params);
                    float _e726 = score(_e717, 1.0, _e725, params);
                    metal::float4 _e727 = sums_1_2_;
                    uint _e729 = start;
                    bool _e735 = is_seen((_e729 + (column * 4u)) + 2u, position_1_, params);
                    float _e736 = score(_e727, 1.0, _e735, params);
                    metal::float4 _e737 = sums_1_3_;
                    uint _e739 = start;
                    bool _e745 = is_seen((_e739 + (column * 4u)) + 3u, position_1_, params);
                    float _e746 = score(_e737, 1.0, _e745, params);
                    scores.inner[((column * 33u) + slot_2) + 16u] = metal::float4(_e716, _e726, _e736, _e746);
                    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                    weigh(thread_, parts, tile_largest, tile_total, scores);
                    metal::float4 _e753 = value_quad(0u, metal::min(thread_ + 0u, 511u), pages, value_at, _buffer_sizes);
                    value_0_ = _e753;
                    metal::float4 _e760 = value_quad(0u, metal::min(thread_ + 256u, 511u), pages, value_at, _buffer_sizes);
                    value_1_ = _e760;
                    sum_0_0_ = metal::float4(0.0);
                    sum_1_0_ = metal::float4(0.0);
                    slice_1 = 0u;
                    uint2 loop_bound_6 = uint2(4294967295u);
                    bool loop_init_5 = true;
                    while(true) {
                        if (metal::all(loop_bound_6 == uint2(0u))) { break; }
                        loop_bound_6 -= uint2(loop_bound_6.y == 0u, 1u);
                        if (!loop_init_5) {
                            uint _e921 = slice_1;
                            slice_1 = _e921 + 32u;
                        }
                        loop_init_5 = false;
                        uint _e770 = slice_1;
                        if (_e770 < 64u) {
                        } else {
                            break;
                        }
                        {
                            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                            if ((thread_ + 0u) < 512u) {
                                metal::float4 _e781 = value_0_;
                                staged.inner[thread_ + 0u] = _e781;
                            }
                            if ((thread_ + 256u) < 512u) {
                                metal::float4 _e790 = value_1_;
                                staged.inner[thread_ + 256u] = _e790;
                            }
                            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                            uint _e791 = slice_1;
                            metal::float4 _e800 = value_quad(metal::min(_e791 + 32u, 32u), metal::min(thread_ + 0u, 511u), pages, value_at, _buffer_sizes);
                            value_0_ = _e800;
                            uint _e801 = slice_1;
                            metal::float4 _e810 = value_quad(metal::min(_e801 + 32u, 32u), metal::min(thread_ + 256u, 511u), pages, value_at, _buffer_sizes);
                            value_1_ = _e810;
                            k = 0u;
                            uint2 loop_bound_7 = uint2(4294967295u);
                            bool loop_init_6 = true;
                            while(true) {
                                if (metal::all(loop_bound_7 == uint2(0u))) { break; }
                                loop_bound_7 -= uint2(loop_bound_7.y == 0u, 1u);
                                if (!loop_init_6) {
                                    uint _e918 = k;
                                    k = _e918 + 4u;
                                }
                                loop_init_6 = false;
                                uint _e813 = k;
                                if (_e813 < 32u) {
                                } else {
                                    break;
                                }
                                {
                                    uint _e817 = slice_1;
                                    uint _e818 = k;
                                    metal::float4 weights_0_ = scores.inner[((naga_div(_e817 + _e818, 4u) * 33u) + slot_2) + 0u];
                                    uint _e830 = slice_1;
                                    uint _e831 = k;
                                    metal::float4 weights_1_ = scores.inner[((naga_div(_e830 + _e831, 4u) * 33u) + slot_2) + 16u];
                                    {
                                        uint _e843 = k;
                                        metal::float4 v_0_ = staged.inner[(((_e843 + 0u) * 16u) + column) + 0u];
                                        metal::float4 _e855 = sum_0_0_;
                                        sum_0_0_ = metal::fma(metal::float4(weights_0_.x), v_0_, _e855);
                                        metal::float4 _e859 = sum_1_0_;
                                        sum_1_0_ = metal::fma(metal::float4(weights_1_.x), v_0_, _e859);
                                    }
                                    {
                                        uint _e862 = k;
                                        metal::float4 v_0_1 = staged.inner[(((_e862 + 1u) * 16u) + column) + 0u];
                                        metal::float4 _e874 = sum_0_0_;
                                        sum_0_0_ = metal::fma(metal::float4(weights_0_.y), v_0_1, _e874);
                                        metal::float4 _e878 = sum_1_0_;
                                        sum_1_0_ = metal::fma(metal::float4(weights_1_.y), v_0_1, _e878);
                                    }
                                    {
                                        uint _e881 = k;
                                        metal::float4 v_0_2 = staged.inner[(((_e881 + 2u) * 16u) + column) + 0u];
                                        metal::float4 _e893 = sum_0_0_;
                                        sum_0_0_ = metal::fma(metal::float4(weights_0_.z), v_0_2, _e893);
                                        metal::float4 _e897 = sum_1_0_;
                                        sum_1_0_ = metal::fma(metal::float4(weights_1_.z), v_0_2, _e897);
                                    }
                                    {
                                        uint _e900 = k;
                                        metal::float4 v_0_3 = staged.inner[(((_e900 + 3u) * 16u) + column) + 0u];
                                        metal::float4 _e912 = sum_0_0_;
                                        sum_0_0_ = metal::fma(metal::float4(weights_0_.w), v_0_3, _e912);
                                        metal::float4 _e916 = sum_1_0_;
                                        sum_1_0_ = metal::fma(metal::float4(weights_1_.w), v_0_3, _e916);
                                    }
                                }
                            }
                        }
                    }
                    {
                        float _e924 = largest_0_;
                        float _e925 = total_0_;
                        float _e930 = tile_largest.inner[slot_2 + 0u];
                        float _e935 = tile_total.inner[slot_2 + 0u];
                        Merge _e936 = merge(_e924, _e925, _e930, _e935);
                        largest_0_ = _e936.largest;
                        total_0_ = _e936.total;
                        metal::float4 _e939 = split_0_0_;
                        metal::float4 _e942 = sum_0_0_;
                        split_0_0_ = metal::fma(_e939, metal::float4(_e936.before), _e942 * _e936.after);
                    }
                    {
                        float _e946 = largest_1_;
                        float _e947 = total_1_;
                        float _e952 = tile_largest.inner[slot_2 + 16u];
                        float _e957 = tile_total.inner[slot_2 + 16u];
                        Merge _e958 = merge(_e946, _e947, _e952, _e957);
                        largest_1_ = _e958.largest;
                        total_1_ = _e958.total;
                        metal::float4 _e961 = split_1_0_;
                        metal::float4 _e964 = sum_1_0_;
                        split_1_0_ = metal::fma(_e961, metal::float4(_e958.before), _e964 * _e958.after);
                    }
                }
            }
            {
                float _e971 = whole_largest_0_;
                float _e972 = whole_total_0_;
                float _e973 = largest_0_;
                float _e974 = total_0_;
                Merge _e975 = merge(_e971, _e972, _e973, _e974);
                whole_largest_0_ = _e975.largest;
                whole_total_0_ = _e975.total;
                metal::float4 _e978 = whole_0_0_;
                metal::float4 _e981 = split_0_0_;
                whole_0_0_ = metal::fma(_e978, metal::float4(_e975.before), _e981 * _e975.after);
            }
            {
                float _e985 = whole_largest_1_;
                float _e986 = whole_total_1_;
                float _e987 = largest_1_;
                float _e988 = total_1_;
                Merge _e989 = merge(_e985, _e986, _e987, _e988);
                whole_largest_1_ = _e989.largest;
                whole_total_1_ = _e989.total;
                metal::float4 _e992 = whole_1_0_;
                metal::float4 _e995 = split_1_0_;
                whole_1_0_ = metal::fma(_e992, metal::float4(_e989.before), _e995 * _e989.after);
            }
        }
    }
    {
        uint row_here = naga_div(slot_2 + 0u, 8u);
        uint head_here = naga_mod(slot_2 + 0u, 8u);
        if (row_here < _e9) {
            local_1 = head_here < heads_here;
        } else {
            local_1 = false;
        }
        bool _e1015 = local_1;
        if (_e1015) {
            float _e1016 = whole_largest_0_;
            float _e1017 = whole_total_0_;
            float _e1019 = finish(_e1016, _e1017, first_head + head_here, sinks, _buffer_sizes);
            uint _e1023 = params.out_stride;
            uint at = ((first_row + row_here) * _e1023) + ((first_head + head_here) * VALUE_DIM);
            if ((column + 0u) < 16u) {
                float _e1043 = whole_0_0_.x;
                out[(at + ((column + 0u) * 4u)) + 0u] = _e1043 * _e1019;
                float _e1055 = whole_0_0_.y;
                out[(at + ((column + 0u) * 4u)) + 1u] = _e1055 * _e1019;
                float _e1067 = whole_0_0_.z;
                out[(at + ((column + 0u) * 4u)) + 2u] = _e1067 * _e1019;
                float _e1079 = whole_0_0_.w;
                out[(at + ((column + 0u) * 4u)) + 3u] = _e1079 * _e1019;
            }
        }
    }
    {
        uint row_here_1 = naga_div(slot_2 + 16u, 8u);
        uint head_here_1 = naga_mod(slot_2 + 16u, 8u);
        if (row_here_1 < _e9) {
            local_2 = head_here_1 < heads_here;
        } else {
            local_2 = false;
        }
        bool _e1094 = local_2;
        if (_e1094) {
            float _e1095 = whole_largest_1_;
            float _e1096 = whole_total_1_;
            float _e1098 = finish(_e1095, _e1096, first_head + head_here_1, sinks, _buffer_sizes);
            uint _e1102 = params.out_stride;
            uint at_1 = ((first_row + row_here_1) * _e1102) + ((first_head + head_here_1) * VALUE_DIM);
            if ((column + 0u) < 16u) {
                float _e1122 = whole_1_0_.x;
                out[(at_1 + ((column + 0u) * 4u)) + 0u] = _e1122 * _e1098;
                float _e1134 = whole_1_0_.y;
                out[(at_1 + ((column + 0u) * 4u)) + 1u] = _e1134 * _e1098;
                float _e1146 = whole_1_0_.z;
                out[(at_1 + ((column + 0u) * 4u)) + 2u] = _e1146 * _e1098;
                float _e1158 = whole_1_0_.w;
                out[(at_1 + ((column + 0u) * 4u)) + 3u] = _e1158 * _e1098;
                return;
            } else {
                return;
            }
        } else {
            return;
        }
    }
}

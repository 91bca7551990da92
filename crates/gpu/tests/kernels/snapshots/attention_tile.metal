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
    metal::float4 inner[64];
};
struct type_11 {
    metal::float4 inner[528];
};
struct type_12 {
    uint inner[4];
};
struct Merge {
    float largest;
    float total;
    float before;
    float after;
};
struct type_13 {
    metal::float4 inner[784];
};
struct type_14 {
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

float tile_largest(
    uint slot,
    threadgroup type_9& largest_parts
) {
    metal::float4 _e5 = largest_parts.inner[slot * 2u];
    metal::float4 _e12 = largest_parts.inner[(slot * 2u) + 1u];
    metal::float4 most = metal::max(_e5, _e12);
    return metal::max(metal::max(most.x, most.y), metal::max(most.z, most.w));
}

float tile_total(
    uint slot_1,
    threadgroup type_9& total_parts
) {
    metal::float4 a = total_parts.inner[slot_1 * 2u];
    metal::float4 b = total_parts.inner[(slot_1 * 2u) + 1u];
    return ((((((a.x + a.y) + a.z) + a.w) + b.x) + b.y) + b.z) + b.w;
}

metal::float4 scores_of(
    uint slot_2,
    uint quad_,
    threadgroup type_11& scores
) {
    metal::float4 _e7 = scores.inner[(quad_ * 33u) + slot_2];
    return _e7;
}

void keep_weights(
    uint slot_3,
    uint quad_1,
    metal::float4 weights,
    threadgroup type_11& scores
) {
    scores.inner[(quad_1 * 33u) + slot_3] = weights;
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
    threadgroup type_9& largest_parts,
    threadgroup type_9& total_parts,
    threadgroup type_11& scores
) {
    metal::float4 a_0_ = metal::float4(-300000000000000000000000000000000000000.0);
    metal::float4 b_0_ = metal::float4(-300000000000000000000000000000000000000.0);
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
        largest_parts.inner[(slot_0_ * 2u) + naga_div(eighth, 4u)][naga_mod(eighth, 4u)] = metal::max(metal::max(both.x, both.y), metal::max(both.z, both.w));
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (here_0_) {
        float _e43 = tile_largest(slot_0_, largest_parts);
        float most_1 = metal::max(_e43, -100000000000000000000000000000000000000.0);
        metal::float4 _e46 = a_0_;
        a_0_ = metal::exp(_e46 - metal::float4(most_1));
        metal::float4 _e50 = b_0_;
        b_0_ = metal::exp(_e50 - metal::float4(most_1));
        float _e65 = a_0_.x;
        float _e67 = a_0_.y;
        float _e70 = a_0_.z;
        float _e72 = a_0_.w;
        float _e76 = b_0_.x;
        float _e78 = b_0_.y;
        float _e81 = b_0_.z;
        float _e83 = b_0_.w;
        total_parts.inner[(slot_0_ * 2u) + naga_div(eighth, 4u)][naga_mod(eighth, 4u)] = ((_e65 + _e67) + (_e70 + _e72)) + ((_e76 + _e78) + (_e81 + _e83));
        metal::float4 _e89 = a_0_;
        keep_weights(slot_0_, eighth * 2u, _e89, scores);
        metal::float4 _e94 = b_0_;
        keep_weights(slot_0_, (eighth * 2u) + 1u, _e94, scores);
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    return;
}

uint rows_of_tile(
    uint first,
    uint thread_2,
    device type_5 const& rows,
    constant Params& params,
    threadgroup type_12& follows,
    threadgroup uint& tile_rows,
    constant _mslBufferSizes& _buffer_sizes
) {
    bool local_6 = {};
    bool local_7 = {};
    bool local_8 = {};
    bool local_9 = {};
    bool local_10 = {};
    bool local_11 = {};
    uint count = 0u;
    bool local_12 = {};
    bool local_13 = {};
    metal::uint2 row = rows[first];
    if (thread_2 < 4u) {
        uint _e11 = params.count;
        metal::uint2 other = rows[metal::min(first + thread_2, _e11 - 1u)];
        uint _e20 = params.count;
        if ((first + thread_2) < _e20) {
            local_6 = (naga_mod(row.x, 4u) + thread_2) < 4u;
        } else {
            local_6 = false;
        }
        bool near = local_6;
        if (near) {
            local_7 = other.y == row.y;
        } else {
            local_7 = false;
        }
        bool _e40 = local_7;
        if (_e40) {
            local_8 = other.x == (row.x + thread_2);
        } else {
            local_8 = false;
        }
        bool _e48 = local_8;
        follows.inner[thread_2] = static_cast<uint>(_e48);
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (thread_2 == 0u) {
        metal::uint2 before = rows[metal::max(first, 1u) - 1u];
        if (first > 0u) {
            local_9 = naga_mod(row.x, 4u) != 0u;
        } else {
            local_9 = false;
        }
        bool _e69 = local_9;
        if (_e69) {
            local_10 = before.y == row.y;
        } else {
            local_10 = false;
        }
        bool _e76 = local_10;
        if (_e76) {
            local_11 = (before.x + 1u) == row.x;
        } else {
            local_11 = false;
        }
        bool goes_on = local_11;
        if (row.x != 4294967295u) {
            local_12 = !(goes_on);
        } else {
            local_12 = false;
        }
        bool _e95 = local_12;
        if (_e95) {
            uint2 loop_bound = uint2(4294967295u);
            while(true) {
                if (metal::all(loop_bound == uint2(0u))) { break; }
                loop_bound -= uint2(loop_bound.y == 0u, 1u);
                uint _e96 = count;
                if (_e96 < 4u) {
                    uint _e102 = count;
                    uint _e106 = follows.inner[metal::min(_e102, 3u)];
                    local_13 = _e106 == 1u;
                } else {
                    local_13 = false;
                }
                bool _e110 = local_13;
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
    float most_2 = metal::max(largest, next_largest);
    float before_1 = metal::exp(largest - most_2);
    float after = metal::exp(next_largest - most_2);
    return Merge {most_2, metal::fma(total, before_1, next_total * after), before_1, after};
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
    threadgroup type_14& value_at,
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
, threadgroup type_9& largest_parts
, threadgroup type_9& total_parts
, threadgroup type_11& scores
, threadgroup type_12& follows
, threadgroup uint& tile_rows
, threadgroup type_13& staged
, threadgroup type_14& key_at
, threadgroup type_14& value_at
, constant _mslBufferSizes& _buffer_sizes [[user(fake0)]]
) {
    if (thread_ == 0u) {
        largest_parts = {};
        total_parts = {};
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
    uint slot_4 = naga_div(thread_, 16u);
    uint quad_2 = naga_mod(thread_, 8u);
    uint brought = naga_div(thread_, 8u);
    uint query_row = first_row + metal::min(naga_div(brought, 8u), _e9 - 1u);
    uint query_head = first_head + metal::min(naga_mod(brought, 8u), heads_here - 1u);
    uint _e61 = params.row_stride;
    uint query_at = (query_row * naga_div(_e61, 4u)) + (query_head * 16u);
    uint position_0_ = row_1.x + naga_div(slot_4 + 0u, 8u);
    uint position_1_ = row_1.x + naga_div(slot_4 + 16u, 8u);
    split = naga_div(_e20, SPLIT);
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init) {
            uint _e992 = split;
            split = _e992 + 1u;
        }
        loop_init = false;
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
            uint2 loop_bound_2 = uint2(4294967295u);
            bool loop_init_1 = true;
            while(true) {
                if (metal::all(loop_bound_2 == uint2(0u))) { break; }
                loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
                if (!loop_init_1) {
                    uint _e960 = start;
                    start = _e960 + 64u;
                }
                loop_init_1 = false;
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
                    uint2 loop_bound_3 = uint2(4294967295u);
                    bool loop_init_2 = true;
                    while(true) {
                        if (metal::all(loop_bound_3 == uint2(0u))) { break; }
                        loop_bound_3 -= uint2(loop_bound_3.y == 0u, 1u);
                        if (!loop_init_2) {
                            uint _e649 = slice;
                            slice = _e649 + 8u;
                        }
                        loop_init_2 = false;
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
                                metal::float4 q_0_ = staged.inner[520u + slot_4];
                                metal::float4 _e306 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_, k_0_, _e306);
                                metal::float4 _e308 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_, k_1_, _e308);
                                metal::float4 _e310 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_, k_2_, _e310);
                                metal::float4 _e312 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_, k_3_, _e312);
                                metal::float4 q_1_ = staged.inner[536u + slot_4];
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
                                metal::float4 q_0_1 = staged.inner[553u + slot_4];
                                metal::float4 _e352 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_1, k_0_1, _e352);
                                metal::float4 _e354 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_1, k_1_1, _e354);
                                metal::float4 _e356 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_1, k_2_1, _e356);
                                metal::float4 _e358 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_1, k_3_1, _e358);
                                metal::float4 q_1_1 = staged.inner[569u + slot_4];
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
                                metal::float4 q_0_2 = staged.inner[586u + slot_4];
                                metal::float4 _e398 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_2, k_0_2, _e398);
                                metal::float4 _e400 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_2, k_1_2, _e400);
                                metal::float4 _e402 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_2, k_2_2, _e402);
                                metal::float4 _e404 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_2, k_3_2, _e404);
                                metal::float4 q_1_2 = staged.inner[602u + slot_4];
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
                                metal::float4 q_0_3 = staged.inner[619u + slot_4];
                                metal::float4 _e444 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_3, k_0_3, _e444);
                                metal::float4 _e446 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_3, k_1_3, _e446);
                                metal::float4 _e448 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_3, k_2_3, _e448);
                                metal::float4 _e450 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_3, k_3_3, _e450);
                                metal::float4 q_1_3 = staged.inner[635u + slot_4];
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
                                metal::float4 q_0_4 = staged.inner[652u + slot_4];
                                metal::float4 _e490 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_4, k_0_4, _e490);
                                metal::float4 _e492 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_4, k_1_4, _e492);
                                metal::float4 _e494 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_4, k_2_4, _e494);
                                metal::float4 _e496 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_4, k_3_4, _e496);
                                metal::float4 q_1_4 = staged.inner[668u + slot_4];
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
                                metal::float4 q_0_5 = staged.inner[685u + slot_4];
                                metal::float4 _e536 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_5, k_0_5, _e536);
                                metal::float4 _e538 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_5, k_1_5, _e538);
                                metal::float4 _e540 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_5, k_2_5, _e540);
                                metal::float4 _e542 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_5, k_3_5, _e542);
                                metal::float4 q_1_5 = staged.inner[701u + slot_4];
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
                                metal::float4 q_0_6 = staged.inner[718u + slot_4];
                                metal::float4 _e582 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_6, k_0_6, _e582);
                                metal::float4 _e584 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_6, k_1_6, _e584);
                                metal::float4 _e586 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_6, k_2_6, _e586);
                                metal::float4 _e588 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_6, k_3_6, _e588);
                                metal::float4 q_1_6 = staged.inner[734u + slot_4];
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
                                metal::float4 q_0_7 = staged.inner[751u + slot_4];
                                metal::float4 _e628 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_7, k_0_7, _e628);
                                metal::float4 _e630 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_7, k_1_7, _e630);
                                metal::float4 _e632 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_7, k_2_7, _e632);
                                metal::float4 _e634 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_7, k_3_7, _e634);
                                metal::float4 q_1_7 = staged.inner[767u + slot_4];
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
                    scores.inner[((column * 33u) + slot_4) + 0u] = metal::float4(_e668, _e678, _e688, _e698);
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
                    scores.inner[((column * 33u) + slot_4) + 16u] = metal::float4(_e716, _e726, _e736, _e746);
                    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                    weigh(thread_, largest_parts, total_parts, scores);
                    metal::float4 _e753 = value_quad(0u, metal::min(thread_ + 0u, 511u), pages, value_at, _buffer_sizes);
                    value_0_ = _e753;
                    metal::float4 _e760 = value_quad(0u, metal::min(thread_ + 256u, 511u), pages, value_at, _buffer_sizes);
                    value_1_ = _e760;
                    sum_0_0_ = metal::float4(0.0);
                    sum_1_0_ = metal::float4(0.0);
                    slice_1 = 0u;
                    uint2 loop_bound_4 = uint2(4294967295u);
                    bool loop_init_3 = true;
                    while(true) {
                        if (metal::all(loop_bound_4 == uint2(0u))) { break; }
                        loop_bound_4 -= uint2(loop_bound_4.y == 0u, 1u);
                        if (!loop_init_3) {
                            uint _e921 = slice_1;
                            slice_1 = _e921 + 32u;
                        }
                        loop_init_3 = false;
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
                            uint2 loop_bound_5 = uint2(4294967295u);
                            bool loop_init_4 = true;
                            while(true) {
                                if (metal::all(loop_bound_5 == uint2(0u))) { break; }
                                loop_bound_5 -= uint2(loop_bound_5.y == 0u, 1u);
                                if (!loop_init_4) {
                                    uint _e918 = k;
                                    k = _e918 + 4u;
                                }
                                loop_init_4 = false;
                                uint _e813 = k;
                                if (_e813 < 32u) {
                                } else {
                                    break;
                                }
                                {
                                    uint _e817 = slice_1;
                                    uint _e818 = k;
                                    metal::float4 weights_0_ = scores.inner[((naga_div(_e817 + _e818, 4u) * 33u) + slot_4) + 0u];
                                    uint _e830 = slice_1;
                                    uint _e831 = k;
                                    metal::float4 weights_1_ = scores.inner[((naga_div(_e830 + _e831, 4u) * 33u) + slot_4) + 16u];
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
                        float _e928 = tile_largest(slot_4 + 0u, largest_parts);
                        float _e931 = tile_total(slot_4 + 0u, total_parts);
                        Merge _e932 = merge(_e924, _e925, _e928, _e931);
                        largest_0_ = _e932.largest;
                        total_0_ = _e932.total;
                        metal::float4 _e935 = split_0_0_;
                        metal::float4 _e938 = sum_0_0_;
                        split_0_0_ = metal::fma(_e935, metal::float4(_e932.before), _e938 * _e932.after);
                    }
                    {
                        float _e942 = largest_1_;
                        float _e943 = total_1_;
                        float _e946 = tile_largest(slot_4 + 16u, largest_parts);
                        float _e949 = tile_total(slot_4 + 16u, total_parts);
                        Merge _e950 = merge(_e942, _e943, _e946, _e949);
                        largest_1_ = _e950.largest;
                        total_1_ = _e950.total;
                        metal::float4 _e953 = split_1_0_;
                        metal::float4 _e956 = sum_1_0_;
                        split_1_0_ = metal::fma(_e953, metal::float4(_e950.before), _e956 * _e950.after);
                    }
                }
            }
            {
                float _e963 = whole_largest_0_;
                float _e964 = whole_total_0_;
                float _e965 = largest_0_;
                float _e966 = total_0_;
                Merge _e967 = merge(_e963, _e964, _e965, _e966);
                whole_largest_0_ = _e967.largest;
                whole_total_0_ = _e967.total;
                metal::float4 _e970 = whole_0_0_;
                metal::float4 _e973 = split_0_0_;
                whole_0_0_ = metal::fma(_e970, metal::float4(_e967.before), _e973 * _e967.after);
            }
            {
                float _e977 = whole_largest_1_;
                float _e978 = whole_total_1_;
                float _e979 = largest_1_;
                float _e980 = total_1_;
                Merge _e981 = merge(_e977, _e978, _e979, _e980);
                whole_largest_1_ = _e981.largest;
                whole_total_1_ = _e981.total;
                metal::float4 _e984 = whole_1_0_;
                metal::float4 _e987 = split_1_0_;
                whole_1_0_ = metal::fma(_e984, metal::float4(_e981.before), _e987 * _e981.after);
            }
        }
    }
    {
        uint row_here = naga_div(slot_4 + 0u, 8u);
        uint head_here = naga_mod(slot_4 + 0u, 8u);
        if (row_here < _e9) {
            local_1 = head_here < heads_here;
        } else {
            local_1 = false;
        }
        bool _e1007 = local_1;
        if (_e1007) {
            float _e1008 = whole_largest_0_;
            float _e1009 = whole_total_0_;
            float _e1011 = finish(_e1008, _e1009, first_head + head_here, sinks, _buffer_sizes);
            uint _e1015 = params.out_stride;
            uint at = ((first_row + row_here) * _e1015) + ((first_head + head_here) * VALUE_DIM);
            if ((column + 0u) < 16u) {
                float _e1035 = whole_0_0_.x;
                out[(at + ((column + 0u) * 4u)) + 0u] = _e1035 * _e1011;
                float _e1047 = whole_0_0_.y;
                out[(at + ((column + 0u) * 4u)) + 1u] = _e1047 * _e1011;
                float _e1059 = whole_0_0_.z;
                out[(at + ((column + 0u) * 4u)) + 2u] = _e1059 * _e1011;
                float _e1071 = whole_0_0_.w;
                out[(at + ((column + 0u) * 4u)) + 3u] = _e1071 * _e1011;
            }
        }
    }
    {
        uint row_here_1 = naga_div(slot_4 + 16u, 8u);
        uint head_here_1 = naga_mod(slot_4 + 16u, 8u);
        if (row_here_1 < _e9) {
            local_2 = head_here_1 < heads_here;
        } else {
            local_2 = false;
        }
        bool _e1086 = local_2;
        if (_e1086) {
            float _e1087 = whole_largest_1_;
            float _e1088 = whole_total_1_;
            float _e1090 = finish(_e1087, _e1088, first_head + head_here_1, sinks, _buffer_sizes);
            uint _e1094 = params.out_stride;
            uint at_1 = ((first_row + row_here_1) * _e1094) + ((first_head + head_here_1) * VALUE_DIM);
            if ((column + 0u) < 16u) {
                float _e1114 = whole_1_0_.x;
                out[(at_1 + ((column + 0u) * 4u)) + 0u] = _e1114 * _e1090;
                float _e1126 = whole_1_0_.y;
                out[(at_1 + ((column + 0u) * 4u)) + 1u] = _e1126 * _e1090;
                float _e1138 = whole_1_0_.z;
                out[(at_1 + ((column + 0u) * 4u)) + 2u] = _e1138 * _e1090;
                float _e1150 = whole_1_0_.w;
                out[(at_1 + ((column + 0u) * 4u)) + 3u] = _e1150 * _e1090;
                return;
            } else {
                return;
            }
        } else {
            return;
        }
    }
}

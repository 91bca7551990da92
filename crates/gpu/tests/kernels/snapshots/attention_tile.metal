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
typedef float type_7[1];
struct Params {
    uint row_stride;
    uint out_stride;
    uint splits;
    float scale;
    uint window;
    float cap;
    uint count;
};
struct type_8 {
    float inner[256];
};
struct type_9 {
    float inner[32];
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
constant uint CAP = 1u;
constant uint SINKS = 1u;
constant float NONE = -300000000000000000000000000000000000000.0;

metal::float4 kv_quad(
    uint index,
    device type_3 const& pages,
    constant _mslBufferSizes& _buffer_sizes
) {
    metal::float4 _e3 = pages[index];
    return _e3;
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
    threadgroup type_11& scores
) {
    metal::float4 _e7 = scores.inner[(quad_ * 33u) + slot];
    return _e7;
}

void keep_weights(
    uint slot_1,
    uint quad_1,
    metal::float4 weights,
    threadgroup type_11& scores
) {
    scores.inner[(quad_1 * 33u) + slot_1] = weights;
    return;
}

uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}

uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}

void weigh(
    uint thread_1,
    threadgroup type_8& parts,
    threadgroup type_9& tile_largest,
    threadgroup type_9& tile_total,
    threadgroup type_11& scores
) {
    metal::float4 a = metal::float4(-300000000000000000000000000000000000000.0);
    metal::float4 b = metal::float4(-300000000000000000000000000000000000000.0);
    float most = NONE;
    uint i = 0u;
    bool local_6 = {};
    float sum = {};
    uint i_1 = 1u;
    uint slot_2 = naga_div(thread_1, 8u);
    bool here = slot_2 < 32u;
    if (here) {
        metal::float4 _e15 = scores_of(slot_2, naga_mod(thread_1, 8u) * 2u, scores);
        a = _e15;
        metal::float4 _e22 = scores_of(slot_2, (naga_mod(thread_1, 8u) * 2u) + 1u, scores);
        b = _e22;
        metal::float4 _e23 = a;
        metal::float4 _e24 = b;
        metal::float4 both = metal::max(_e23, _e24);
        parts.inner[thread_1] = metal::max(metal::max(both.x, both.y), metal::max(both.z, both.w));
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (here) {
        uint2 loop_bound = uint2(4294967295u);
        bool loop_init = true;
        while(true) {
            if (metal::all(loop_bound == uint2(0u))) { break; }
            loop_bound -= uint2(loop_bound.y == 0u, 1u);
            if (!loop_init) {
                uint _e52 = i;
                i = _e52 + 1u;
            }
            loop_init = false;
            uint _e39 = i;
            if (_e39 < 8u) {
            } else {
                break;
            }
            {
                float _e42 = most;
                uint _e46 = i;
                float _e49 = parts.inner[(slot_2 * 8u) + _e46];
                most = metal::max(_e42, _e49);
            }
        }
    }
    metal::float4 _e54 = a;
    float _e55 = most;
    a = metal::exp(_e54 - metal::float4(metal::max(_e55, -100000000000000000000000000000000000000.0)));
    metal::float4 _e61 = b;
    float _e62 = most;
    b = metal::exp(_e61 - metal::float4(metal::max(_e62, -100000000000000000000000000000000000000.0)));
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (here) {
        float _e71 = a.x;
        float _e73 = a.y;
        float _e76 = a.z;
        float _e78 = a.w;
        float _e82 = b.x;
        float _e84 = b.y;
        float _e87 = b.z;
        float _e89 = b.w;
        parts.inner[thread_1] = ((_e71 + _e73) + (_e76 + _e78)) + ((_e82 + _e84) + (_e87 + _e89));
        metal::float4 _e97 = a;
        keep_weights(slot_2, naga_mod(thread_1, 8u) * 2u, _e97, scores);
        metal::float4 _e104 = b;
        keep_weights(slot_2, (naga_mod(thread_1, 8u) * 2u) + 1u, _e104, scores);
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (here) {
        local_6 = naga_mod(thread_1, 8u) == 0u;
    } else {
        local_6 = false;
    }
    bool _e112 = local_6;
    if (_e112) {
        float _e115 = parts.inner[thread_1];
        sum = _e115;
        uint2 loop_bound_1 = uint2(4294967295u);
        bool loop_init_1 = true;
        while(true) {
            if (metal::all(loop_bound_1 == uint2(0u))) { break; }
            loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
            if (!loop_init_1) {
                uint _e130 = i_1;
                i_1 = _e130 + 1u;
            }
            loop_init_1 = false;
            uint _e119 = i_1;
            if (_e119 < 8u) {
            } else {
                break;
            }
            {
                float _e122 = sum;
                uint _e124 = i_1;
                float _e127 = parts.inner[thread_1 + _e124];
                sum = _e122 + _e127;
            }
        }
        float _e134 = most;
        tile_largest.inner[slot_2] = _e134;
        float _e137 = sum;
        tile_total.inner[slot_2] = _e137;
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
        bool near_1 = local_7;
        if (near_1) {
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
    float most_1 = metal::max(largest, next_largest);
    float before_1 = metal::exp(largest - most_1);
    float after = metal::exp(next_largest - most_1);
    return Merge {most_1, metal::fma(total, before_1, next_total * after), before_1, after};
}

float finish(
    float largest_1,
    float total_1,
    uint head_1,
    device type_7 const& sinks,
    constant _mslBufferSizes& _buffer_sizes
) {
    float _e5 = sinks[head_1];
    Merge _e7 = merge(largest_1, total_1, _e5, 1.0);
    return _e7.before / _e7.total;
}

metal::float4 value_quad(
    uint slice_2,
    uint item,
    device type_3 const& pages,
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
, device type_3 const& pages [[user(fake0)]]
, device type_7 const& sinks [[user(fake0)]]
, device type_7& out [[user(fake0)]]
, constant Params& params [[user(fake0)]]
, threadgroup type_8& parts
, threadgroup type_9& tile_largest
, threadgroup type_9& tile_total
, threadgroup type_11& scores
, threadgroup type_12& follows
, threadgroup uint& tile_rows
, threadgroup type_13& staged
, threadgroup type_14& key_at
, threadgroup type_14& value_at
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
    metal::float4 near = {};
    metal::float4 far = {};
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
    uint _e3 = rows_of_tile(group.z, thread_, rows, params, follows, tile_rows, _buffer_sizes);
    if (_e3 < 2u) {
        return;
    }
    metal::uint2 row_1 = rows[group.z];
    uint last = (row_1.x + _e3) - 1u;
    uint _e15 = first_key(row_1.x, params);
    uint head_2 = naga_div(group.y, BLOCKS);
    uint first_head = (head_2 * GROUP) + (naga_mod(group.y, BLOCKS) * BLOCK);
    uint heads_here = metal::min(BLOCK, ((head_2 + 1u) * GROUP) - first_head);
    uint column = naga_mod(thread_, 16u);
    uint slot_3 = naga_div(thread_, 16u);
    uint quad_2 = naga_mod(thread_, 8u);
    uint brought = naga_div(thread_, 8u);
    uint query_row = group.z + metal::min(naga_div(brought, 8u), _e3 - 1u);
    uint query_head = first_head + metal::min(naga_mod(brought, 8u), heads_here - 1u);
    uint _e57 = params.row_stride;
    uint query_at = (query_row * naga_div(_e57, 4u)) + (query_head * 16u);
    uint position_0_ = row_1.x + naga_div(slot_3 + 0u, 8u);
    uint position_1_ = row_1.x + naga_div(slot_3 + 16u, 8u);
    split = naga_div(_e15, SPLIT);
    uint2 loop_bound_3 = uint2(4294967295u);
    bool loop_init_2 = true;
    while(true) {
        if (metal::all(loop_bound_3 == uint2(0u))) { break; }
        loop_bound_3 -= uint2(loop_bound_3.y == 0u, 1u);
        if (!loop_init_2) {
            uint _e992 = split;
            split = _e992 + 1u;
        }
        loop_init_2 = false;
        uint _e93 = split;
        if (_e93 <= naga_div(last, SPLIT)) {
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
            uint _e111 = split;
            start = _e111 * SPLIT;
            uint2 loop_bound_4 = uint2(4294967295u);
            bool loop_init_3 = true;
            while(true) {
                if (metal::all(loop_bound_4 == uint2(0u))) { break; }
                loop_bound_4 -= uint2(loop_bound_4.y == 0u, 1u);
                if (!loop_init_3) {
                    uint _e960 = start;
                    start = _e960 + 64u;
                }
                loop_init_3 = false;
                uint _e115 = start;
                uint _e116 = split;
                if (_e115 < ((_e116 + 1u) * SPLIT)) {
                } else {
                    break;
                }
                {
                    uint _e122 = start;
                    if (!((_e122 > last))) {
                        uint _e127 = start;
                        local = (_e127 + 64u) <= _e15;
                    } else {
                        local = true;
                    }
                    bool _e132 = local;
                    if (_e132) {
                        continue;
                    }
                    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                    if (thread_ < 64u) {
                        uint _e135 = start;
                        uint key_1 = metal::clamp(_e135 + thread_, _e15, last);
                        uint page_1 = tables[row_1.y + naga_div(key_1, PAGE)];
                        uint _e145 = kv_page(page_1, head_2);
                        key_at.inner[thread_] = _e145 + (naga_mod(key_1, PAGE) * 16u);
                        value_at.inner[thread_] = (_e145 + 1024u) + (naga_mod(key_1, PAGE) * 16u);
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
                    uint near_at = key_at.inner[brought];
                    uint far_at = key_at.inner[brought + 32u];
                    metal::float4 _e197 = kv_quad(near_at + metal::min(quad_2, 15u), pages, _buffer_sizes);
                    near = _e197;
                    metal::float4 _e202 = kv_quad(far_at + metal::min(quad_2, 15u), pages, _buffer_sizes);
                    far = _e202;
                    metal::float4 _e209 = qkv[query_at + metal::min(quad_2, 15u)];
                    query = _e209;
                    slice = 0u;
                    uint2 loop_bound_5 = uint2(4294967295u);
                    bool loop_init_4 = true;
                    while(true) {
                        if (metal::all(loop_bound_5 == uint2(0u))) { break; }
                        loop_bound_5 -= uint2(loop_bound_5.y == 0u, 1u);
                        if (!loop_init_4) {
                            uint _e641 = slice;
                            slice = _e641 + 8u;
                        }
                        loop_init_4 = false;
                        uint _e213 = slice;
                        if (_e213 < 16u) {
                        } else {
                            break;
                        }
                        {
                            uint _e216 = slice;
                            bool inside = (_e216 + quad_2) < 16u;
                            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                            metal::float4 _e232 = near;
                            staged.inner[((quad_2 * 65u) + (naga_mod(brought, 4u) * 16u)) + naga_div(brought, 4u)] = _e232;
                            metal::float4 _e247 = far;
                            staged.inner[(((quad_2 * 65u) + (naga_mod(brought, 4u) * 16u)) + naga_div(brought, 4u)) + 8u] = _e247;
                            metal::float4 _e257 = query;
                            staged.inner[(520u + (quad_2 * 33u)) + brought] = inside ? _e257 : metal::float4(0.0);
                            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                            uint _e259 = slice;
                            uint next = metal::min((_e259 + 8u) + quad_2, 15u);
                            metal::float4 _e266 = kv_quad(near_at + next, pages, _buffer_sizes);
                            near = _e266;
                            metal::float4 _e268 = kv_quad(far_at + next, pages, _buffer_sizes);
                            far = _e268;
                            metal::float4 _e272 = qkv[query_at + next];
                            query = _e272;
                            {
                                metal::float4 k_0_ = staged.inner[0u + column];
                                metal::float4 k_1_ = staged.inner[16u + column];
                                metal::float4 k_2_ = staged.inner[32u + column];
                                metal::float4 k_3_ = staged.inner[48u + column];
                                metal::float4 q_0_ = staged.inner[520u + slot_3];
                                metal::float4 _e298 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_, k_0_, _e298);
                                metal::float4 _e300 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_, k_1_, _e300);
                                metal::float4 _e302 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_, k_2_, _e302);
                                metal::float4 _e304 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_, k_3_, _e304);
                                metal::float4 q_1_ = staged.inner[536u + slot_3];
                                metal::float4 _e311 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_, k_0_, _e311);
                                metal::float4 _e313 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_, k_1_, _e313);
                                metal::float4 _e315 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_, k_2_, _e315);
                                metal::float4 _e317 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_, k_3_, _e317);
                            }
                            {
                                metal::float4 k_0_1 = staged.inner[65u + column];
                                metal::float4 k_1_1 = staged.inner[81u + column];
                                metal::float4 k_2_1 = staged.inner[97u + column];
                                metal::float4 k_3_1 = staged.inner[113u + column];
                                metal::float4 q_0_1 = staged.inner[553u + slot_3];
                                metal::float4 _e344 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_1, k_0_1, _e344);
                                metal::float4 _e346 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_1, k_1_1, _e346);
                                metal::float4 _e348 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_1, k_2_1, _e348);
                                metal::float4 _e350 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_1, k_3_1, _e350);
                                metal::float4 q_1_1 = staged.inner[569u + slot_3];
                                metal::float4 _e357 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_1, k_0_1, _e357);
                                metal::float4 _e359 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_1, k_1_1, _e359);
                                metal::float4 _e361 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_1, k_2_1, _e361);
                                metal::float4 _e363 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_1, k_3_1, _e363);
                            }
                            {
                                metal::float4 k_0_2 = staged.inner[130u + column];
                                metal::float4 k_1_2 = staged.inner[146u + column];
                                metal::float4 k_2_2 = staged.inner[162u + column];
                                metal::float4 k_3_2 = staged.inner[178u + column];
                                metal::float4 q_0_2 = staged.inner[586u + slot_3];
                                metal::float4 _e390 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_2, k_0_2, _e390);
                                metal::float4 _e392 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_2, k_1_2, _e392);
                                metal::float4 _e394 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_2, k_2_2, _e394);
                                metal::float4 _e396 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_2, k_3_2, _e396);
                                metal::float4 q_1_2 = staged.inner[602u + slot_3];
                                metal::float4 _e403 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_2, k_0_2, _e403);
                                metal::float4 _e405 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_2, k_1_2, _e405);
                                metal::float4 _e407 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_2, k_2_2, _e407);
                                metal::float4 _e409 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_2, k_3_2, _e409);
                            }
                            {
                                metal::float4 k_0_3 = staged.inner[195u + column];
                                metal::float4 k_1_3 = staged.inner[211u + column];
                                metal::float4 k_2_3 = staged.inner[227u + column];
                                metal::float4 k_3_3 = staged.inner[243u + column];
                                metal::float4 q_0_3 = staged.inner[619u + slot_3];
                                metal::float4 _e436 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_3, k_0_3, _e436);
                                metal::float4 _e438 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_3, k_1_3, _e438);
                                metal::float4 _e440 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_3, k_2_3, _e440);
                                metal::float4 _e442 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_3, k_3_3, _e442);
                                metal::float4 q_1_3 = staged.inner[635u + slot_3];
                                metal::float4 _e449 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_3, k_0_3, _e449);
                                metal::float4 _e451 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_3, k_1_3, _e451);
                                metal::float4 _e453 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_3, k_2_3, _e453);
                                metal::float4 _e455 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_3, k_3_3, _e455);
                            }
                            {
                                metal::float4 k_0_4 = staged.inner[260u + column];
                                metal::float4 k_1_4 = staged.inner[276u + column];
                                metal::float4 k_2_4 = staged.inner[292u + column];
                                metal::float4 k_3_4 = staged.inner[308u + column];
                                metal::float4 q_0_4 = staged.inner[652u + slot_3];
                                metal::float4 _e482 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_4, k_0_4, _e482);
                                metal::float4 _e484 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_4, k_1_4, _e484);
                                metal::float4 _e486 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_4, k_2_4, _e486);
                                metal::float4 _e488 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_4, k_3_4, _e488);
                                metal::float4 q_1_4 = staged.inner[668u + slot_3];
                                metal::float4 _e495 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_4, k_0_4, _e495);
                                metal::float4 _e497 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_4, k_1_4, _e497);
                                metal::float4 _e499 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_4, k_2_4, _e499);
                                metal::float4 _e501 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_4, k_3_4, _e501);
                            }
                            {
                                metal::float4 k_0_5 = staged.inner[325u + column];
                                metal::float4 k_1_5 = staged.inner[341u + column];
                                metal::float4 k_2_5 = staged.inner[357u + column];
                                metal::float4 k_3_5 = staged.inner[373u + column];
                                metal::float4 q_0_5 = staged.inner[685u + slot_3];
                                metal::float4 _e528 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_5, k_0_5, _e528);
                                metal::float4 _e530 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_5, k_1_5, _e530);
                                metal::float4 _e532 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_5, k_2_5, _e532);
                                metal::float4 _e534 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_5, k_3_5, _e534);
                                metal::float4 q_1_5 = staged.inner[701u + slot_3];
                                metal::float4 _e541 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_5, k_0_5, _e541);
                                metal::float4 _e543 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_5, k_1_5, _e543);
                                metal::float4 _e545 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_5, k_2_5, _e545);
                                metal::float4 _e547 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_5, k_3_5, _e547);
                            }
                            {
                                metal::float4 k_0_6 = staged.inner[390u + column];
                                metal::float4 k_1_6 = staged.inner[406u + column];
                                metal::float4 k_2_6 = staged.inner[422u + column];
                                metal::float4 k_3_6 = staged.inner[438u + column];
                                metal::float4 q_0_6 = staged.inner[718u + slot_3];
                                metal::float4 _e574 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_6, k_0_6, _e574);
                                metal::float4 _e576 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_6, k_1_6, _e576);
                                metal::float4 _e578 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_6, k_2_6, _e578);
                                metal::float4 _e580 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_6, k_3_6, _e580);
                                metal::float4 q_1_6 = staged.inner[734u + slot_3];
                                metal::float4 _e587 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_6, k_0_6, _e587);
                                metal::float4 _e589 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_6, k_1_6, _e589);
                                metal::float4 _e591 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_6, k_2_6, _e591);
                                metal::float4 _e593 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_6, k_3_6, _e593);
                            }
                            {
                                metal::float4 k_0_7 = staged.inner[455u + column];
                                metal::float4 k_1_7 = staged.inner[471u + column];
                                metal::float4 k_2_7 = staged.inner[487u + column];
                                metal::float4 k_3_7 = staged.inner[503u + column];
                                metal::float4 q_0_7 = staged.inner[751u + slot_3];
                                metal::float4 _e620 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_7, k_0_7, _e620);
                                metal::float4 _e622 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_7, k_1_7, _e622);
                                metal::float4 _e624 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_7, k_2_7, _e624);
                                metal::float4 _e626 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_7, k_3_7, _e626);
                                metal::float4 q_1_7 = staged.inner[767u + slot_3];
                                metal::float4 _e633 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_7, k_0_7, _e633);
                                metal::float4 _e635 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_7, k_1_7, _e635);
                                metal::float4 _e637 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_7, k_2_7, _e637);
                                metal::float4 _e639 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_7, k_3_7, _e639);
                            }
                        }
                    }
                    metal::float4 _e651 = sums_0_0_;
                    uint _e653 = start;
                    bool _e659 = is_seen((_e653 + (column * 4u)) + 0u, position_0_, params);
                    float _e660 = score(_e651, 1.0, _e659, params);
                    metal::float4 _e661 = sums_0_1_;
                    uint _e663 = start;
                    bool _e669 = is_seen((_e663 + (column * 4u)) + 1u, position_0_, params);
                    float _e670 = score(_e661, 1.0, _e669, params);
                    metal::float4 _e671 = sums_0_2_;
                    uint _e673 = start;
                    bool _e679 = is_seen((_e673 + (column * 4u)) + 2u, position_0_, params);
                    float _e680 = score(_e671, 1.0, _e679, params);
                    metal::float4 _e681 = sums_0_3_;
                    uint _e683 = start;
                    bool _e689 = is_seen((_e683 + (column * 4u)) + 3u, position_0_, params);
                    float _e690 = score(_e681, 1.0, _e689, params);
                    scores.inner[((column * 33u) + slot_3) + 0u] = metal::float4(_e660, _e670, _e680, _e690);
                    metal::float4 _e699 = sums_1_0_;
                    uint _e701 = start;
                    bool _e707 = is_seen((_e701 + (column * 4u)) + 0u, position_1_, params);
                    float _e708 = score(_e699, 1.0, _e707, params);
                    metal::float4 _e709 = sums_1_1_;
                    uint _e711 = start;
                    bool _e717 = is_seen((_e711 + (column * 4u)) + 1u, position_1_, params);
                    float _e718 = score(_e709, 1.0, _e717, params);
                    metal::float4 _e719 = sums_1_2_;
                    uint _e721 = start;
                    bool _e727 = is_seen((_e721 + (column * 4u)) + 2u, position_1_, params);
                    float _e728 = score(_e719, 1.0, _e727, params);
                    metal::float4 _e729 = sums_1_3_;
                    uint _e731 = start;
                    bool _e737 = is_seen((_e731 + (column * 4u)) + 3u, position_1_, params);
                    float _e738 = score(_e729, 1.0, _e737, params);
                    scores.inner[((column * 33u) + slot_3) + 16u] = metal::float4(_e708, _e718, _e728, _e738);
                    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                    weigh(thread_, parts, tile_largest, tile_total, scores);
                    metal::float4 _e745 = value_quad(0u, metal::min(thread_ + 0u, 511u), pages, value_at, _buffer_sizes);
                    value_0_ = _e745;
                    metal::float4 _e752 = value_quad(0u, metal::min(thread_ + 256u, 511u), pages, value_at, _buffer_sizes);
                    value_1_ = _e752;
                    sum_0_0_ = metal::float4(0.0);
                    sum_1_0_ = metal::float4(0.0);
                    slice_1 = 0u;
                    uint2 loop_bound_6 = uint2(4294967295u);
                    bool loop_init_5 = true;
                    while(true) {
                        if (metal::all(loop_bound_6 == uint2(0u))) { break; }
                        loop_bound_6 -= uint2(loop_bound_6.y == 0u, 1u);
                        if (!loop_init_5) {
                            uint _e913 = slice_1;
                            slice_1 = _e913 + 32u;
                        }
                        loop_init_5 = false;
                        uint _e762 = slice_1;
                        if (_e762 < 64u) {
                        } else {
                            break;
                        }
                        {
                            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                            if ((thread_ + 0u) < 512u) {
                                metal::float4 _e773 = value_0_;
                                staged.inner[thread_ + 0u] = _e773;
                            }
                            if ((thread_ + 256u) < 512u) {
                                metal::float4 _e782 = value_1_;
                                staged.inner[thread_ + 256u] = _e782;
                            }
                            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                            uint _e783 = slice_1;
                            metal::float4 _e792 = value_quad(metal::min(_e783 + 32u, 32u), metal::min(thread_ + 0u, 511u), pages, value_at, _buffer_sizes);
                            value_0_ = _e792;
                            uint _e793 = slice_1;
                            metal::float4 _e802 = value_quad(metal::min(_e793 + 32u, 32u), metal::min(thread_ + 256u, 511u), pages, value_at, _buffer_sizes);
                            value_1_ = _e802;
                            k = 0u;
                            uint2 loop_bound_7 = uint2(4294967295u);
                            bool loop_init_6 = true;
                            while(true) {
                                if (metal::all(loop_bound_7 == uint2(0u))) { break; }
                                loop_bound_7 -= uint2(loop_bound_7.y == 0u, 1u);
                                if (!loop_init_6) {
                                    uint _e910 = k;
                                    k = _e910 + 4u;
                                }
                                loop_init_6 = false;
                                uint _e805 = k;
                                if (_e805 < 32u) {
                                } else {
                                    break;
                                }
                                {
                                    uint _e809 = slice_1;
                                    uint _e810 = k;
                                    metal::float4 weights_0_ = scores.inner[((naga_div(_e809 + _e810, 4u) * 33u) + slot_3) + 0u];
                                    uint _e822 = slice_1;
                                    uint _e823 = k;
                                    metal::float4 weights_1_ = scores.inner[((naga_div(_e822 + _e823, 4u) * 33u) + slot_3) + 16u];
                                    {
                                        uint _e835 = k;
                                        metal::float4 v_0_ = staged.inner[(((_e835 + 0u) * 16u) + column) + 0u];
                                        metal::float4 _e847 = sum_0_0_;
                                        sum_0_0_ = metal::fma(metal::float4(weights_0_.x), v_0_, _e847);
                                        metal::float4 _e851 = sum_1_0_;
                                        sum_1_0_ = metal::fma(metal::float4(weights_1_.x), v_0_, _e851);
                                    }
                                    {
                                        uint _e854 = k;
                                        metal::float4 v_0_1 = staged.inner[(((_e854 + 1u) * 16u) + column) + 0u];
                                        metal::float4 _e866 = sum_0_0_;
                                        sum_0_0_ = metal::fma(metal::float4(weights_0_.y), v_0_1, _e866);
                                        metal::float4 _e870 = sum_1_0_;
                                        sum_1_0_ = metal::fma(metal::float4(weights_1_.y), v_0_1, _e870);
                                    }
                                    {
                                        uint _e873 = k;
                                        metal::float4 v_0_2 = staged.inner[(((_e873 + 2u) * 16u) + column) + 0u];
                                        metal::float4 _e885 = sum_0_0_;
                                        sum_0_0_ = metal::fma(metal::float4(weights_0_.z), v_0_2, _e885);
                                        metal::float4 _e889 = sum_1_0_;
                                        sum_1_0_ = metal::fma(metal::float4(weights_1_.z), v_0_2, _e889);
                                    }
                                    {
                                        uint _e892 = k;
                                        metal::float4 v_0_3 = staged.inner[(((_e892 + 3u) * 16u) + column) + 0u];
                                        metal::float4 _e904 = sum_0_0_;
                                        sum_0_0_ = metal::fma(metal::float4(weights_0_.w), v_0_3, _e904);
                                        metal::float4 _e908 = sum_1_0_;
                                        sum_1_0_ = metal::fma(metal::float4(weights_1_.w), v_0_3, _e908);
                                    }
                                }
                            }
                        }
                    }
                    {
                        float _e916 = largest_0_;
                        float _e917 = total_0_;
                        float _e922 = tile_largest.inner[slot_3 + 0u];
                        float _e927 = tile_total.inner[slot_3 + 0u];
                        Merge _e928 = merge(_e916, _e917, _e922, _e927);
                        largest_0_ = _e928.largest;
                        total_0_ = _e928.total;
                        metal::float4 _e931 = split_0_0_;
                        metal::float4 _e934 = sum_0_0_;
                        split_0_0_ = metal::fma(_e931, metal::float4(_e928.before), _e934 * _e928.after);
                    }
                    {
                        float _e938 = largest_1_;
                        float _e939 = total_1_;
                        float _e944 = tile_largest.inner[slot_3 + 16u];
                        float _e949 = tile_total.inner[slot_3 + 16u];
                        Merge _e950 = merge(_e938, _e939, _e944, _e949);
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
        uint row_here = naga_div(slot_3 + 0u, 8u);
        uint head_here = naga_mod(slot_3 + 0u, 8u);
        if (row_here < _e3) {
            local_1 = head_here < heads_here;
        } else {
            local_1 = false;
        }
        bool _e1007 = local_1;
        if (_e1007) {
            float _e1008 = whole_largest_0_;
            float _e1009 = whole_total_0_;
            float _e1011 = finish(_e1008, _e1009, first_head + head_here, sinks, _buffer_sizes);
            uint _e1016 = params.out_stride;
            uint at = ((group.z + row_here) * _e1016) + ((first_head + head_here) * VALUE_DIM);
            if ((column + 0u) < 16u) {
                float _e1036 = whole_0_0_.x;
                out[(at + ((column + 0u) * 4u)) + 0u] = _e1036 * _e1011;
                float _e1048 = whole_0_0_.y;
                out[(at + ((column + 0u) * 4u)) + 1u] = _e1048 * _e1011;
                float _e1060 = whole_0_0_.z;
                out[(at + ((column + 0u) * 4u)) + 2u] = _e1060 * _e1011;
                float _e1072 = whole_0_0_.w;
                out[(at + ((column + 0u) * 4u)) + 3u] = _e1072 * _e1011;
            }
        }
    }
    {
        uint row_here_1 = naga_div(slot_3 + 16u, 8u);
        uint head_here_1 = naga_mod(slot_3 + 16u, 8u);
        if (row_here_1 < _e3) {
            local_2 = head_here_1 < heads_here;
        } else {
            local_2 = false;
        }
        bool _e1087 = local_2;
        if (_e1087) {
            float _e1088 = whole_largest_1_;
            float _e1089 = whole_total_1_;
            float _e1091 = finish(_e1088, _e1089, first_head + head_here_1, sinks, _buffer_sizes);
            uint _e1096 = params.out_stride;
            uint at_1 = ((group.z + row_here_1) * _e1096) + ((first_head + head_here_1) * VALUE_DIM);
            if ((column + 0u) < 16u) {
                float _e1116 = whole_1_0_.x;
                out[(at_1 + ((column + 0u) * 4u)) + 0u] = _e1116 * _e1091;
                float _e1128 = whole_1_0_.y;
                out[(at_1 + ((column + 0u) * 4u)) + 1u] = _e1128 * _e1091;
                float _e1140 = whole_1_0_.z;
                out[(at_1 + ((column + 0u) * 4u)) + 2u] = _e1140 * _e1091;
                float _e1152 = whole_1_0_.w;
                out[(at_1 + ((column + 0u) * 4u)) + 3u] = _e1152 * _e1091;
                return;
            } else {
                return;
            }
        } else {
            return;
        }
    }
}

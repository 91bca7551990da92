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
    float inner[512];
};
struct type_9 {
    float inner[64];
};
struct type_11 {
    metal::float4 inner[1040];
};
struct type_12 {
    uint inner[8];
};
struct Merge {
    float largest;
    float total;
    float before;
    float after;
};
struct type_13 {
    metal::float4 inner[520];
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
constant uint TILE_SLOTS = 64u;
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
    bool local_5 = {};
    bool local_6 = {};
    if (key <= position) {
        uint _e7 = params.window;
        if (!((_e7 == 0u))) {
            uint _e15 = params.window;
            local_6 = (key + _e15) > position;
        } else {
            local_6 = true;
        }
        bool _e19 = local_6;
        local_5 = _e19;
    } else {
        local_5 = false;
    }
    bool _e21 = local_5;
    return _e21;
}

uint first_key(
    uint position_1,
    constant Params& params
) {
    bool local_7 = {};
    uint _e6 = params.window;
    uint _e10 = params.window;
    if (_e10 != 0u) {
        uint _e19 = params.window;
        local_7 = (position_1 + 1u) > _e19;
    } else {
        local_7 = false;
    }
    bool _e22 = local_7;
    return _e22 ? ((position_1 + 1u) - _e6) : 0u;
}

metal::float4 scores_of(
    uint slot,
    uint quad_,
    threadgroup type_11& scores
) {
    metal::float4 _e7 = scores.inner[(quad_ * 65u) + slot];
    return _e7;
}

void keep_weights(
    uint slot_1,
    uint quad_1,
    metal::float4 weights,
    threadgroup type_11& scores
) {
    scores.inner[(quad_1 * 65u) + slot_1] = weights;
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
    threadgroup type_8& parts,
    threadgroup type_9& tile_largest,
    threadgroup type_9& tile_total,
    threadgroup type_11& scores
) {
    metal::float4 a_0_ = metal::float4(-300000000000000000000000000000000000000.0);
    metal::float4 b_0_ = metal::float4(-300000000000000000000000000000000000000.0);
    metal::float4 a_1_ = metal::float4(-300000000000000000000000000000000000000.0);
    metal::float4 b_1_ = metal::float4(-300000000000000000000000000000000000000.0);
    float most_0_ = NONE;
    uint i = 0u;
    float most_1_ = NONE;
    uint i_1 = 0u;
    bool local_8 = {};
    float sum = {};
    uint i_2 = 1u;
    bool local_9 = {};
    float sum_1 = {};
    uint i_3 = 1u;
    uint eighth = naga_mod(thread_1, 8u);
    uint slot_0_ = naga_div(thread_1, 8u) + 0u;
    bool here_0_ = slot_0_ < 64u;
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
    uint slot_1_ = naga_div(thread_1, 8u) + 32u;
    bool here_1_ = slot_1_ < 64u;
    if (here_1_) {
        metal::float4 _e52 = scores_of(slot_1_, eighth * 2u, scores);
        a_1_ = _e52;
        metal::float4 _e57 = scores_of(slot_1_, (eighth * 2u) + 1u, scores);
        b_1_ = _e57;
        metal::float4 _e58 = a_1_;
        metal::float4 _e59 = b_1_;
        metal::float4 both_1 = metal::max(_e58, _e59);
        parts.inner[(slot_1_ * 8u) + eighth] = metal::max(metal::max(both_1.x, both_1.y), metal::max(both_1.z, both_1.w));
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (here_0_) {
        uint2 loop_bound = uint2(4294967295u);
        bool loop_init = true;
        while(true) {
            if (metal::all(loop_bound == uint2(0u))) { break; }
            loop_bound -= uint2(loop_bound.y == 0u, 1u);
            if (!loop_init) {
                uint _e90 = i;
                i = _e90 + 1u;
            }
            loop_init = false;
            uint _e77 = i;
            if (_e77 < 8u) {
            } else {
                break;
            }
            {
                float _e80 = most_0_;
                uint _e84 = i;
                float _e87 = parts.inner[(slot_0_ * 8u) + _e84];
                most_0_ = metal::max(_e80, _e87);
            }
        }
    }
    metal::float4 _e92 = a_0_;
    float _e93 = most_0_;
    a_0_ = metal::exp(_e92 - metal::float4(metal::max(_e93, -100000000000000000000000000000000000000.0)));
    metal::float4 _e99 = b_0_;
    float _e100 = most_0_;
    b_0_ = metal::exp(_e99 - metal::float4(metal::max(_e100, -100000000000000000000000000000000000000.0)));
    if (here_1_) {
        uint2 loop_bound_1 = uint2(4294967295u);
        bool loop_init_1 = true;
        while(true) {
            if (metal::all(loop_bound_1 == uint2(0u))) { break; }
            loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
            if (!loop_init_1) {
                uint _e123 = i_1;
                i_1 = _e123 + 1u;
            }
            loop_init_1 = false;
            uint _e110 = i_1;
            if (_e110 < 8u) {
            } else {
                break;
            }
            {
                float _e113 = most_1_;
                uint _e117 = i_1;
                float _e120 = parts.inner[(slot_1_ * 8u) + _e117];
                most_1_ = metal::max(_e113, _e120);
            }
        }
    }
    metal::float4 _e125 = a_1_;
    float _e126 = most_1_;
    a_1_ = metal::exp(_e125 - metal::float4(metal::max(_e126, -100000000000000000000000000000000000000.0)));
    metal::float4 _e132 = b_1_;
    float _e133 = most_1_;
    b_1_ = metal::exp(_e132 - metal::float4(metal::max(_e133, -100000000000000000000000000000000000000.0)));
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (here_0_) {
        float _e145 = a_0_.x;
        float _e147 = a_0_.y;
        float _e150 = a_0_.z;
        float _e152 = a_0_.w;
        float _e156 = b_0_.x;
        float _e158 = b_0_.y;
        float _e161 = b_0_.z;
        float _e163 = b_0_.w;
        parts.inner[(slot_0_ * 8u) + eighth] = ((_e145 + _e147) + (_e150 + _e152)) + ((_e156 + _e158) + (_e161 + _e163));
        metal::float4 _e169 = a_0_;
        keep_weights(slot_0_, eighth * 2u, _e169, scores);
        metal::float4 _e174 = b_0_;
        keep_weights(slot_0_, (eighth * 2u) + 1u, _e174, scores);
    }
    if (here_1_) {
        float _e181 = a_1_.x;
        float _e183 = a_1_.y;
        float _e186 = a_1_.z;
        float _e188 = a_1_.w;
        float _e192 = b_1_.x;
        float _e194 = b_1_.y;
        float _e197 = b_1_.z;
        float _e199 = b_1_.w;
        parts.inner[(slot_1_ * 8u) + eighth] = ((_e181 + _e183) + (_e186 + _e188)) + ((_e192 + _e194) + (_e197 + _e199));
        metal::float4 _e205 = a_1_;
        keep_weights(slot_1_, eighth * 2u, _e205, scores);
        metal::float4 _e210 = b_1_;
        keep_weights(slot_1_, (eighth * 2u) + 1u, _e210, scores);
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (here_0_) {
        local_8 = eighth == 0u;
    } else {
        local_8 = false;
    }
    bool _e216 = local_8;
    if (_e216) {
        float _e221 = parts.inner[slot_0_ * 8u];
        sum = _e221;
        uint2 loop_bound_2 = uint2(4294967295u);
        bool loop_init_2 = true;
        while(true) {
            if (metal::all(loop_bound_2 == uint2(0u))) { break; }
            loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
            if (!loop_init_2) {
                uint _e238 = i_2;
                i_2 = _e238 + 1u;
            }
            loop_init_2 = false;
            uint _e225 = i_2;
            if (_e225 < 8u) {
            } else {
                break;
            }
            {
                float _e228 = sum;
                uint _e232 = i_2;
                float _e235 = parts.inner[(slot_0_ * 8u) + _e232];
                sum = _e228 + _e235;
            }
        }
        float _e242 = most_0_;
        tile_largest.inner[slot_0_] = _e242;
        float _e245 = sum;
        tile_total.inner[slot_0_] = _e245;
    }
    if (here_1_) {
        local_9 = eighth == 0u;
    } else {
        local_9 = false;
    }
    bool _e251 = local_9;
    if (_e251) {
        float _e256 = parts.inner[slot_1_ * 8u];
        sum_1 = _e256;
        uint2 loop_bound_3 = uint2(4294967295u);
        bool loop_init_3 = true;
        while(true) {
            if (metal::all(loop_bound_3 == uint2(0u))) { break; }
            loop_bound_3 -= uint2(loop_bound_3.y == 0u, 1u);
            if (!loop_init_3) {
                uint _e273 = i_3;
                i_3 = _e273 + 1u;
            }
            loop_init_3 = false;
            uint _e260 = i_3;
            if (_e260 < 8u) {
            } else {
                break;
            }
            {
                float _e263 = sum_1;
                uint _e267 = i_3;
                float _e270 = parts.inner[(slot_1_ * 8u) + _e267];
                sum_1 = _e263 + _e270;
            }
        }
        float _e277 = most_1_;
        tile_largest.inner[slot_1_] = _e277;
        float _e280 = sum_1;
        tile_total.inner[slot_1_] = _e280;
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
    bool local_10 = {};
    bool local_11 = {};
    bool local_12 = {};
    bool local_13 = {};
    bool local_14 = {};
    bool local_15 = {};
    uint count = 0u;
    bool local_16 = {};
    bool local_17 = {};
    metal::uint2 row = rows[first];
    if (thread_2 < 8u) {
        uint _e11 = params.count;
        metal::uint2 other = rows[metal::min(first + thread_2, _e11 - 1u)];
        uint _e20 = params.count;
        if ((first + thread_2) < _e20) {
            local_10 = (naga_mod(row.x, 8u) + thread_2) < 8u;
        } else {
            local_10 = false;
        }
        bool near = local_10;
        if (near) {
            local_11 = other.y == row.y;
        } else {
            local_11 = false;
        }
        bool _e40 = local_11;
        if (_e40) {
            local_12 = other.x == (row.x + thread_2);
        } else {
            local_12 = false;
        }
        bool _e48 = local_12;
        follows.inner[thread_2] = static_cast<uint>(_e48);
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    if (thread_2 == 0u) {
        metal::uint2 before = rows[metal::max(first, 1u) - 1u];
        if (first > 0u) {
            local_13 = naga_mod(row.x, 8u) != 0u;
        } else {
            local_13 = false;
        }
        bool _e69 = local_13;
        if (_e69) {
            local_14 = before.y == row.y;
        } else {
            local_14 = false;
        }
        bool _e76 = local_14;
        if (_e76) {
            local_15 = (before.x + 1u) == row.x;
        } else {
            local_15 = false;
        }
        bool goes_on = local_15;
        if (row.x != 4294967295u) {
            local_16 = !(goes_on);
        } else {
            local_16 = false;
        }
        bool _e95 = local_16;
        if (_e95) {
            uint2 loop_bound_4 = uint2(4294967295u);
            while(true) {
                if (metal::all(loop_bound_4 == uint2(0u))) { break; }
                loop_bound_4 -= uint2(loop_bound_4.y == 0u, 1u);
                uint _e96 = count;
                if (_e96 < 8u) {
                    uint _e102 = count;
                    uint _e106 = follows.inner[metal::min(_e102, 7u)];
                    local_17 = _e106 == 1u;
                } else {
                    local_17 = false;
                }
                bool _e110 = local_17;
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
    float whole_largest_2_ = NONE;
    float whole_total_2_ = 0.0;
    metal::float4 whole_2_0_ = metal::float4(0.0);
    float whole_largest_3_ = NONE;
    float whole_total_3_ = 0.0;
    metal::float4 whole_3_0_ = metal::float4(0.0);
    uint split = {};
    float largest_0_ = {};
    float total_0_ = {};
    metal::float4 split_0_0_ = {};
    float largest_1_ = {};
    float total_1_ = {};
    metal::float4 split_1_0_ = {};
    float largest_2_ = {};
    float total_2_ = {};
    metal::float4 split_2_0_ = {};
    float largest_3_ = {};
    float total_3_ = {};
    metal::float4 split_3_0_ = {};
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
    metal::float4 sums_2_0_ = {};
    metal::float4 sums_2_1_ = {};
    metal::float4 sums_2_2_ = {};
    metal::float4 sums_2_3_ = {};
    metal::float4 sums_3_0_ = {};
    metal::float4 sums_3_1_ = {};
    metal::float4 sums_3_2_ = {};
    metal::float4 sums_3_3_ = {};
    metal::float4 key_0_ = {};
    metal::float4 query = {};
    uint slice = {};
    metal::float4 value_0_ = {};
    metal::float4 value_1_ = {};
    metal::float4 sum_0_0_ = {};
    metal::float4 sum_1_0_ = {};
    metal::float4 sum_2_0_ = {};
    metal::float4 sum_3_0_ = {};
    uint slice_1 = {};
    uint k = {};
    bool local_1 = {};
    bool local_2 = {};
    bool local_3 = {};
    bool local_4 = {};
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
    uint quad_2 = naga_mod(thread_, 4u);
    uint brought = naga_div(thread_, 4u);
    uint query_row = first_row + metal::min(naga_div(brought, 8u), _e9 - 1u);
    uint query_head = first_head + metal::min(naga_mod(brought, 8u), heads_here - 1u);
    uint _e61 = params.row_stride;
    uint query_at = (query_row * naga_div(_e61, 4u)) + (query_head * 16u);
    uint position_0_ = row_1.x + naga_div(slot_2 + 0u, 8u);
    uint position_1_ = row_1.x + naga_div(slot_2 + 16u, 8u);
    uint position_2_ = row_1.x + naga_div(slot_2 + 32u, 8u);
    uint position_3_ = row_1.x + naga_div(slot_2 + 48u, 8u);
    split = naga_div(_e20, SPLIT);
    uint2 loop_bound_5 = uint2(4294967295u);
    bool loop_init_4 = true;
    while(true) {
        if (metal::all(loop_bound_5 == uint2(0u))) { break; }
        loop_bound_5 -= uint2(loop_bound_5.y == 0u, 1u);
        if (!loop_init_4) {
            uint _e1189 = split;
            split = _e1189 + 1u;
        }
        loop_init_4 = false;
        uint _e123 = split;
        if (_e123 <= naga_div(last, SPLIT)) {
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
            largest_2_ = NONE;
            total_2_ = 0.0;
            split_2_0_ = metal::float4(0.0);
            largest_3_ = NONE;
            total_3_ = 0.0;
            split_3_0_ = metal::float4(0.0);
            uint _e155 = split;
            start = _e155 * SPLIT;
            uint2 loop_bound_6 = uint2(4294967295u);
            bool loop_init_5 = true;
            while(true) {
                if (metal::all(loop_bound_6 == uint2(0u))) { break; }
                loop_bound_6 -= uint2(loop_bound_6.y == 0u, 1u);
                if (!loop_init_5) {
                    uint _e1129 = start;
                    start = _e1129 + 64u;
                }
                loop_init_5 = false;
                uint _e159 = start;
                uint _e160 = split;
                if (_e159 < ((_e160 + 1u) * SPLIT)) {
                } else {
                    break;
                }
                {
                    uint _e166 = start;
                    if (!((_e166 > last))) {
                        uint _e171 = start;
                        local = (_e171 + 64u) <= _e20;
                    } else {
                        local = true;
                    }
                    bool _e176 = local;
                    if (_e176) {
                        continue;
                    }
                    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                    if (thread_ < 64u) {
                        uint _e179 = start;
                        uint key_1 = metal::clamp(_e179 + thread_, _e20, last);
                        uint page_1 = tables[row_1.y + naga_div(key_1, PAGE)];
                        uint _e189 = kv_page(page_1, head_2);
                        key_at.inner[thread_] = _e189 + (naga_mod(key_1, PAGE) * 16u);
                        value_at.inner[thread_] = (_e189 + 1024u) + (naga_mod(key_1, PAGE) * 16u);
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
                    sums_2_0_ = metal::float4(0.0);
                    sums_2_1_ = metal::float4(0.0);
                    sums_2_2_ = metal::float4(0.0);
                    sums_2_3_ = metal::float4(0.0);
                    sums_3_0_ = metal::float4(0.0);
                    sums_3_1_ = metal::float4(0.0);
                    sums_3_2_ = metal::float4(0.0);
                    sums_3_3_ = metal::float4(0.0);
                    uint key_at_0_ = key_at.inner[brought + 0u];
                    metal::float4 _e262 = kv_quad(key_at_0_ + metal::min(quad_2, 15u), pages, _buffer_sizes);
                    key_0_ = _e262;
                    metal::float4 _e269 = qkv[query_at + metal::min(quad_2, 15u)];
                    query = _e269;
                    slice = 0u;
                    uint2 loop_bound_7 = uint2(4294967295u);
                    bool loop_init_6 = true;
                    while(true) {
                        if (metal::all(loop_bound_7 == uint2(0u))) { break; }
                        loop_bound_7 -= uint2(loop_bound_7.y == 0u, 1u);
                        if (!loop_init_6) {
                            uint _e606 = slice;
                            slice = _e606 + 4u;
                        }
                        loop_init_6 = false;
                        uint _e273 = slice;
                        if (_e273 < 16u) {
                        } else {
                            break;
                        }
                        {
                            uint _e276 = slice;
                            bool inside = (_e276 + quad_2) < 16u;
                            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                            metal::float4 _e294 = key_0_;
                            staged.inner[(((quad_2 * 65u) + (naga_mod(brought, 4u) * 16u)) + naga_div(brought, 4u)) + 0u] = _e294;
                            metal::float4 _e304 = query;
                            staged.inner[(260u + (quad_2 * 65u)) + brought] = inside ? _e304 : metal::float4(0.0);
                            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                            uint _e306 = slice;
                            uint next = metal::min((_e306 + 4u) + quad_2, 15u);
                            metal::float4 _e313 = kv_quad(key_at_0_ + next, pages, _buffer_sizes);
                            key_0_ = _e313;
                            metal::float4 _e317 = qkv[query_at + next];
                            query = _e317;
                            {
                                metal::float4 k_0_ = staged.inner[0u + column];
                                metal::float4 k_1_ = staged.inner[16u + column];
                                metal::float4 k_2_ = staged.inner[32u + column];
                                metal::float4 k_3_ = staged.inner[48u + column];
                                metal::float4 q_0_ = staged.inner[260u + slot_2];
                                metal::float4 _e343 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_, k_0_, _e343);
                                metal::float4 _e345 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_, k_1_, _e345);
                                metal::float4 _e347 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_, k_2_, _e347);
                                metal::float4 _e349 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_, k_3_, _e349);
                                metal::float4 q_1_ = staged.inner[276u + slot_2];
                                metal::float4 _e356 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_, k_0_, _e356);
                                metal::float4 _e358 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_, k_1_, _e358);
                                metal::float4 _e360 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_, k_2_, _e360);
                                metal::float4 _e362 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_, k_3_, _e362);
                                metal::float4 q_2_ = staged.inner[292u + slot_2];
                                metal::float4 _e369 = sums_2_0_;
                                sums_2_0_ = metal::fma(q_2_, k_0_, _e369);
                                metal::float4 _e371 = sums_2_1_;
                                sums_2_1_ = metal::fma(q_2_, k_1_, _e371);
                                metal::float4 _e373 = sums_2_2_;
                                sums_2_2_ = metal::fma(q_2_, k_2_, _e373);
                                metal::float4 _e375 = sums_2_3_;
                                sums_2_3_ = metal::fma(q_2_, k_3_, _e375);
                                metal::float4 q_3_ = staged.inner[308u + slot_2];
                                metal::float4 _e382 = sums_3_0_;
                                sums_3_0_ = metal::fma(q_3_, k_0_, _e382);
                                metal::float4 _e384 = sums_3_1_;
                                sums_3_1_ = metal::fma(q_3_, k_1_, _e384);
                                metal::float4 _e386 = sums_3_2_;
                                sums_3_2_ = metal::fma(q_3_, k_2_, _e386);
                                metal::float4 _e388 = sums_3_3_;
                                sums_3_3_ = metal::fma(q_3_, k_3_, _e388);
                            }
                            {
                                metal::float4 k_0_1 = staged.inner[65u + column];
                                metal::float4 k_1_1 = staged.inner[81u + column];
                                metal::float4 k_2_1 = staged.inner[97u + column];
                                metal::float4 k_3_1 = staged.inner[113u + column];
                                metal::float4 q_0_1 = staged.inner[325u + slot_2];
                                metal::float4 _e415 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_1, k_0_1, _e415);
                                metal::float4 _e417 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_1, k_1_1, _e417);
                                metal::float4 _e419 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_1, k_2_1, _e419);
                                metal::float4 _e421 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_1, k_3_1, _e421);
                                metal::float4 q_1_1 = staged.inner[341u + slot_2];
                                metal::float4 _e428 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_1, k_0_1, _e428);
                                metal::float4 _e430 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_1, k_1_1, _e430);
                                metal::float4 _e432 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_1, k_2_1, _e432);
                                metal::float4 _e434 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_1, k_3_1, _e434);
                                metal::float4 q_2_1 = staged.inner[357u + slot_2];
                                metal::float4 _e441 = sums_2_0_;
                                sums_2_0_ = metal::fma(q_2_1, k_0_1, _e441);
                                metal::float4 _e443 = sums_2_1_;
                                sums_2_1_ = metal::fma(q_2_1, k_1_1, _e443);
                                metal::float4 _e445 = sums_2_2_;
                                sums_2_2_ = metal::fma(q_2_1, k_2_1, _e445);
                                metal::float4 _e447 = sums_2_3_;
                                sums_2_3_ = metal::fma(q_2_1, k_3_1, _e447);
                                metal::float4 q_3_1 = staged.inner[373u + slot_2];
                                metal::float4 _e454 = sums_3_0_;
                                sums_3_0_ = metal::fma(q_3_1, k_0_1, _e454);
                                metal::float4 _e456 = sums_3_1_;
                                sums_3_1_ = metal::fma(q_3_1, k_1_1, _e456);
                                metal::float4 _e458 = sums_3_2_;
                                sums_3_2_ = metal::fma(q_3_1, k_2_1, _e458);
                                metal::float4 _e460 = sums_3_3_;
                                sums_3_3_ = metal::fma(q_3_1, k_3_1, _e460);
                            }
                            {
                                metal::float4 k_0_2 = staged.inner[130u + column];
                                metal::float4 k_1_2 = staged.inner[146u + column];
                                metal::float4 k_2_2 = staged.inner[162u + column];
                                metal::float4 k_3_2 = staged.inner[178u + column];
                                metal::float4 q_0_2 = staged.inner[390u + slot_2];
                                metal::float4 _e487 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_2, k_0_2, _e487);
                                metal::float4 _e489 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_2, k_1_2, _e489);
                                metal::float4 _e491 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_2, k_2_2, _e491);
                                metal::float4 _e493 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_2, k_3_2, _e493);
                                metal::float4 q_1_2 = staged.inner[406u + slot_2];
                                metal::float4 _e500 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_2, k_0_2, _e500);
                                metal::float4 _e502 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_2, k_1_2, _e502);
                                metal::float4 _e504 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_2, k_2_2, _e504);
                                metal::float4 _e506 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_2, k_3_2, _e506);
                                metal::float4 q_2_2 = staged.inner[422u + slot_2];
                                metal::float4 _e513 = sums_2_0_;
                                sums_2_0_ = metal::fma(q_2_2, k_0_2, _e513);
                                metal::float4 _e515 = sums_2_1_;
                                sums_2_1_ = metal::fma(q_2_2, k_1_2, _e515);
                                metal::float4 _e517 = sums_2_2_;
                                sums_2_2_ = metal::fma(q_2_2, k_2_2, _e517);
                                metal::float4 _e519 = sums_2_3_;
                                sums_2_3_ = metal::fma(q_2_2, k_3_2, _e519);
                                metal::float4 q_3_2 = staged.inner[438u + slot_2];
                                metal::float4 _e526 = sums_3_0_;
                                sums_3_0_ = metal::fma(q_3_2, k_0_2, _e526);
                                metal::float4 _e528 = sums_3_1_;
                                sums_3_1_ = metal::fma(q_3_2, k_1_2, _e528);
                                metal::float4 _e530 = sums_3_2_;
                                sums_3_2_ = metal::fma(q_3_2, k_2_2, _e530);
                                metal::float4 _e532 = sums_3_3_;
                                sums_3_3_ = metal::fma(q_3_2, k_3_2, _e532);
                            }
                            {
                                metal::float4 k_0_3 = staged.inner[195u + column];
                                metal::float4 k_1_3 = staged.inner[211u + column];
                                metal::float4 k_2_3 = staged.inner[227u + column];
                                metal::float4 k_3_3 = staged.inner[243u + column];
                                metal::float4 q_0_3 = staged.inner[455u + slot_2];
                                metal::float4 _e559 = sums_0_0_;
                                sums_0_0_ = metal::fma(q_0_3, k_0_3, _e559);
                                metal::float4 _e561 = sums_0_1_;
                                sums_0_1_ = metal::fma(q_0_3, k_1_3, _e561);
                                metal::float4 _e563 = sums_0_2_;
                                sums_0_2_ = metal::fma(q_0_3, k_2_3, _e563);
                                metal::float4 _e565 = sums_0_3_;
                                sums_0_3_ = metal::fma(q_0_3, k_3_3, _e565);
                                metal::float4 q_1_3 = staged.inner[471u + slot_2];
                                metal::float4 _e572 = sums_1_0_;
                                sums_1_0_ = metal::fma(q_1_3, k_0_3, _e572);
                                metal::float4 _e574 = sums_1_1_;
                                sums_1_1_ = metal::fma(q_1_3, k_1_3, _e574);
                                metal::float4 _e576 = sums_1_2_;
                                sums_1_2_ = metal::fma(q_1_3, k_2_3, _e576);
                                metal::float4 _e578 = sums_1_3_;
                                sums_1_3_ = metal::fma(q_1_3, k_3_3, _e578);
                                metal::float4 q_2_3 = staged.inner[487u + slot_2];
                                metal::float4 _e585 = sums_2_0_;
                                sums_2_0_ = metal::fma(q_2_3, k_0_3, _e585);
                                metal::float4 _e587 = sums_2_1_;
                                sums_2_1_ = metal::fma(q_2_3, k_1_3, _e587);
                                metal::float4 _e589 = sums_2_2_;
                                sums_2_2_ = metal::fma(q_2_3, k_2_3, _e589);
                                metal::float4 _e591 = sums_2_3_;
                                sums_2_3_ = metal::fma(q_2_3, k_3_3, _e591);
                                metal::float4 q_3_3 = staged.inner[503u + slot_2];
                                metal::float4 _e598 = sums_3_0_;
                                sums_3_0_ = metal::fma(q_3_3, k_0_3, _e598);
                                metal::float4 _e600 = sums_3_1_;
                                sums_3_1_ = metal::fma(q_3_3, k_1_3, _e600);
                                metal::float4 _e602 = sums_3_2_;
                                sums_3_2_ = metal::fma(q_3_3, k_2_3, _e602);
                                metal::float4 _e604 = sums_3_3_;
                                sums_3_3_ = metal::fma(q_3_3, k_3_3, _e604);
                            }
                        }
                    }
                    metal::float4 _e616 = sums_0_0_;
                    uint _e618 = start;
                    bool _e624 = is_seen((_e618 + (column * 4u)) + 0u, position_0_, params);
                    float _e625 = score(_e616, 1.0, _e624, params);
                    metal::float4 _e626 = sums_0_1_;
                    uint _e628 = start;
                    bool _e634 = is_seen((_e628 + (column * 4u)) + 1u, position_0_, params);
                    float _e635 = score(_e626, 1.0, _e634, params);
                    metal::float4 _e636 = sums_0_2_;
                    uint _e638 = start;
                    bool _e644 = is_seen((_e638 + (column * 4u)) + 2u, position_0_, params);
                    float _e645 = score(_e636, 1.0, _e644, params);
                    metal::float4 _e646 = sums_0_3_;
                    uint _e648 = start;
                    bool _e654 = is_seen((_e648 + (column * 4u)) + 3u, position_0_, params);
                    float _e655 = score(_e646, 1.0, _e654, params);
                    scores.inner[((column * 65u) + slot_2) + 0u] = metal::float4(_e625, _e635, _e645, _e655);
                    metal::float4 _e664 = sums_1_0_;
                    uint _e666 = start;
                    bool _e672 = is_seen((_e666 + (column * 4u)) + 0u, position_1_, params);
                    float _e673 = score(_e664, 1.0, _e672, params);
                    metal::float4 _e674 = sums_1_1_;
                    uint _e676 = start;
                    bool _e682 = is_seen((_e676 + (column * 4u)) + 1u, position_1_, params);
                    float _e683 = score(_e674, 1.0, _e682, params);
                    metal::float4 _e684 = sums_1_2_;
                    uint _e686 = start;
                    bool _e692 = is_seen((_e686 + (column * 4u)) + 2u, position_1_, params);
                    float _e693 = score(_e684, 1.0, _e692, params);
                    metal::float4 _e694 = sums_1_3_;
                    uint _e696 = start;
                    bool _e702 = is_seen((_e696 + (column * 4u)) + 3u, position_1_, params);
                    float _e703 = score(_e694, 1.0, _e702, params);
                    scores.inner[((column * 65u) + slot_2) + 16u] = metal::float4(_e673, _e683, _e693, _e703);
                    metal::float4 _e712 = sums_2_0_;
                    uint _e714 = start;
                    bool _e720 = is_seen((_e714 + (column * 4u)) + 0u, position_2_, params);
                    float _e721 = score(_e712, 1.0, _e720, params);
                    metal::float4 _e722 = sums_2_1_;
                    uint _e724 = start;
                    bool _e730 = is_seen((_e724 + (column * 4u)) + 1u, position_2_, params);
                    float _e731 = score(_e722, 1.0, _e730, params);
                    metal::float4 _e732 = sums_2_2_;
                    uint _e734 = start;
                    bool _e740 = is_seen((_e734 + (column * 4u)) + 2u, position_2_, params);
                    float _e741 = score(_e732, 1.0, _e740, params);
                    metal::float4 _e742 = sums_2_3_;
                    uint _e744 = start;
                    bool _e750 = is_seen((_e744 + (column * 4u)) + 3u, position_2_, params);
                    float _e751 = score(_e742, 1.0, _e750, params);
                    scores.inner[((column * 65u) + slot_2) + 32u] = metal::float4(_e721, _e731, _e741, _e751);
                    metal::float4 _e760 = sums_3_0_;
                    uint _e762 = start;
                    bool _e768 = is_seen((_e762 + (column * 4u)) + 0u, position_3_, params);
                    float _e769 = score(_e760, 1.0, _e768, params);
                    metal::float4 _e770 = sums_3_1_;
                    uint _e772 = start;
                    bool _e778 = is_seen((_e772 + (column * 4u)) + 1u, position_3_, params);
                    float _e779 = score(_e770, 1.0, _e778, params);
                    metal::float4 _e780 = sums_3_2_;
                    uint _e782 = start;
                    bool _e788 = is_seen((_e782 + (column * 4u)) + 2u, position_3_, params);
                    float _e789 = score(_e780, 1.0, _e788, params);
                    metal::float4 _e790 = sums_3_3_;
                    uint _e792 = start;
                    bool _e798 = is_seen((_e792 + (column * 4u)) + 3u, position_3_, params);
                    float _e799 = score(_e790, 1.0, _e798, params);
                    scores.inner[((column * 65u) + slot_2) + 48u] = metal::float4(_e769, _e779, _e789, _e799);
                    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                    weigh(thread_, parts, tile_largest, tile_total, scores);
                    metal::float4 _e806 = value_quad(0u, metal::min(thread_ + 0u, 511u), pages, value_at, _buffer_sizes);
                    value_0_ = _e806;
                    metal::float4 _e813 = value_quad(0u, metal::min(thread_ + 256u, 511u), pages, value_at, _buffer_sizes);
                    value_1_ = _e813;
                    sum_0_0_ = metal::float4(0.0);
                    sum_1_0_ = metal::float4(0.0);
                    sum_2_0_ = metal::float4(0.0);
                    sum_3_0_ = metal::float4(0.0);
                    slice_1 = 0u;
                    uint2 loop_bound_8 = uint2(4294967295u);
                    bool loop_init_7 = true;
                    while(true) {
                        if (metal::all(loop_bound_8 == uint2(0u))) { break; }
                        loop_bound_8 -= uint2(loop_bound_8.y == 0u, 1u);
                        if (!loop_init_7) {
                            uint _e1038 = slice_1;
                            slice_1 = _e1038 + 32u;
                        }
                        loop_init_7 = false;
                        uint _e829 = slice_1;
                        if (_e829 < 64u) {
                        } else {
                            break;
                        }
                        {
                            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                            if ((thread_ + 0u) < 512u) {
                                metal::float4 _e840 = value_0_;
                                staged.inner[thread_ + 0u] = _e840;
                            }
                            if ((thread_ + 256u) < 512u) {
                                metal::float4 _e849 = value_1_;
                                staged.inner[thread_ + 256u] = _e849;
                            }
                            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
                            uint _e850 = slice_1;
                            metal::float4 _e859 = value_quad(metal::min(_e850 + 32u, 32u), metal::min(thread_ + 0u, 511u), pages, value_at, _buffer_sizes);
                            value_0_ = _e859;
                            uint _e860 = slice_1;
                            metal::float4 _e869 = value_quad(metal::min(_e860 + 32u, 32u), metal::min(thread_ + 256u, 511u), pages, value_at, _buffer_sizes);
                            value_1_ = _e869;
                            k = 0u;
                            uint2 loop_bound_9 = uint2(4294967295u);
                            bool loop_init_8 = true;
                            while(true) {
                                if (metal::all(loop_bound_9 == uint2(0u))) { break; }
                                loop_bound_9 -= uint2(loop_bound_9.y == 0u, 1u);
                                if (!loop_init_8) {
                                    uint _e1035 = k;
                                    k = _e1035 + 4u;
                                }
                                loop_init_8 = false;
                                uint _e872 = k;
                                if (_e872 < 32u) {
                                } else {
                                    break;
                                }
                                {
                                    uint _e876 = slice_1;
                                    uint _e877 = k;
                                    metal::float4 weights_0_ = scores.inner[((naga_div(_e876 + _e877, 4u) * 65u) + slot_2) + 0u];
                                    uint _e889 = slice_1;
                                    uint _e890 = k;
                                    metal::float4 weights_1_ = scores.inner[((naga_div(_e889 + _e890, 4u) * 65u) + slot_2) + 16u];
                                    uint _e902 = slice_1;
                                    uint _e903 = k;
                                    metal::float4 weights_2_ = scores.inner[((naga_div(_e902 + _e903, 4u) * 65u) + slot_2) + 32u];
                                    uint _e915 = slice_1;
                                    uint _e916 = k;
                                    metal::float4 weights_3_ = scores.inner[((naga_div(_e915 + _e916, 4u) * 65u) + slot_2) + 48u];
                                    {
                                        uint _e928 = k;
                                        metal::float4 v_0_ = staged.inner[(((_e928 + 0u) * 16u) + column) + 0u];
                                        metal::float4 _e940 = sum_0_0_;
                                        sum_0_0_ = metal::fma(metal::float4(weights_0_.x), v_0_, _e940);
                                        metal::float4 _e944 = sum_1_0_;
                                        sum_1_0_ = metal::fma(metal::float4(weights_1_.x), v_0_, _e944);
                                        metal::float4 _e948 = sum_2_0_;
                                        sum_2_0_ = metal::fma(metal::float4(weights_2_.x), v_0_, _e948);
                                        metal::float4 _e952 = sum_3_0_;
                                        sum_3_0_ = metal::fma(metal::float4(weights_3_.x), v_0_, _e952);
                                    }
                                    {
                                        uint _e955 = k;
                                        metal::float4 v_0_1 = staged.inner[(((_e955 + 1u) * 16u) + column) + 0u];
                                        metal::float4 _e967 = sum_0_0_;
                                        sum_0_0_ = metal::fma(metal::float4(weights_0_.y), v_0_1, _e967);
                                        metal::float4 _e971 = sum_1_0_;
                                        sum_1_0_ = metal::fma(metal::float4(weights_1_.y), v_0_1, _e971);
                                        metal::float4 _e975 = sum_2_0_;
                                        sum_2_0_ = metal::fma(metal::float4(weights_2_.y), v_0_1, _e975);
                                        metal::float4 _e979 = sum_3_0_;
                                        sum_3_0_ = metal::fma(metal::float4(weights_3_.y), v_0_1, _e979);
                                    }
                                    {
                                        uint _e982 = k;
                                        metal::float4 v_0_2 = staged.inner[(((_e982 + 2u) * 16u) + column) + 0u];
                                        metal::float4 _e994 = sum_0_0_;
                                        sum_0_0_ = metal::fma(metal::float4(weights_0_.z), v_0_2, _e994);
                                        metal::float4 _e998 = sum_1_0_;
                                        sum_1_0_ = metal::fma(metal::float4(weights_1_.z), v_0_2, _e998);
                                        metal::float4 _e1002 = sum_2_0_;
                                        sum_2_0_ = metal::fma(metal::float4(weights_2_.z), v_0_2, _e1002);
                                        metal::float4 _e1006 = sum_3_0_;
                                        sum_3_0_ = metal::fma(metal::float4(weights_3_.z), v_0_2, _e1006);
                                    }
                                    {
                                        uint _e1009 = k;
                                        metal::float4 v_0_3 = staged.inner[(((_e1009 + 3u) * 16u) + column) + 0u];
                                        metal::float4 _e1021 = sum_0_0_;
                                        sum_0_0_ = metal::fma(metal::float4(weights_0_.w), v_0_3, _e1021);
                                        metal::float4 _e1025 = sum_1_0_;
                                        sum_1_0_ = metal::fma(metal::float4(weights_1_.w), v_0_3, _e1025);
                                        metal::float4 _e1029 = sum_2_0_;
                                        sum_2_0_ = metal::fma(metal::float4(weights_2_.w), v_0_3, _e1029);
                                        metal::float4 _e1033 = sum_3_0_;
                                        sum_3_0_ = metal::fma(metal::float4(weights_3_.w), v_0_3, _e1033);
                                    }
                                }
                            }
                        }
                    }
                    {
                        float _e1041 = largest_0_;
                        float _e1042 = total_0_;
                        float _e1047 = tile_largest.inner[slot_2 + 0u];
                        float _e1052 = tile_total.inner[slot_2 + 0u];
                        Merge _e1053 = merge(_e1041, _e1042, _e1047, _e1052);
                        largest_0_ = _e1053.largest;
                        total_0_ = _e1053.total;
                        metal::float4 _e1056 = split_0_0_;
                        metal::float4 _e1059 = sum_0_0_;
                        split_0_0_ = metal::fma(_e1056, metal::float4(_e1053.before), _e1059 * _e1053.after);
                    }
                    {
                        float _e1063 = largest_1_;
                        float _e1064 = total_1_;
                        float _e1069 = tile_largest.inner[slot_2 + 16u];
                        float _e1074 = tile_total.inner[slot_2 + 16u];
                        Merge _e1075 = merge(_e1063, _e1064, _e1069, _e1074);
                        largest_1_ = _e1075.largest;
                        total_1_ = _e1075.total;
                        metal::float4 _e1078 = split_1_0_;
                        metal::float4 _e1081 = sum_1_0_;
                        split_1_0_ = metal::fma(_e1078, metal::float4(_e1075.before), _e1081 * _e1075.after);
                    }
                    {
                        float _e1085 = largest_2_;
                        float _e1086 = total_2_;
                        float _e1091 = tile_largest.inner[slot_2 + 32u];
                        float _e1096 = tile_total.inner[slot_2 + 32u];
                        Merge _e1097 = merge(_e1085, _e1086, _e1091, _e1096);
                        largest_2_ = _e1097.largest;
                        total_2_ = _e1097.total;
                        metal::float4 _e1100 = split_2_0_;
                        metal::float4 _e1103 = sum_2_0_;
                        split_2_0_ = metal::fma(_e1100, metal::float4(_e1097.before), _e1103 * _e1097.after);
                    }
                    {
                        float _e1107 = largest_3_;
                        float _e1108 = total_3_;
                        float _e1113 = tile_largest.inner[slot_2 + 48u];
                        float _e1118 = tile_total.inner[slot_2 + 48u];
                        Merge _e1119 = merge(_e1107, _e1108, _e1113, _e1118);
                        largest_3_ = _e1119.largest;
                        total_3_ = _e1119.total;
                        metal::float4 _e1122 = split_3_0_;
                        metal::float4 _e1125 = sum_3_0_;
                        split_3_0_ = metal::fma(_e1122, metal::float4(_e1119.before), _e1125 * _e1119.after);
                    }
                }
            }
            {
                float _e1132 = whole_largest_0_;
                float _e1133 = whole_total_0_;
                float _e1134 = largest_0_;
                float _e1135 = total_0_;
                Merge _e1136 = merge(_e1132, _e1133, _e1134, _e1135);
                whole_largest_0_ = _e1136.largest;
                whole_total_0_ = _e1136.total;
                metal::float4 _e1139 = whole_0_0_;
                metal::float4 _e1142 = split_0_0_;
                whole_0_0_ = metal::fma(_e1139, metal::float4(_e1136.before), _e1142 * _e1136.after);
            }
            {
                float _e1146 = whole_largest_1_;
                float _e1147 = whole_total_1_;
                float _e1148 = largest_1_;
                float _e1149 = total_1_;
                Merge _e1150 = merge(_e1146, _e1147, _e1148, _e1149);
                whole_largest_1_ = _e1150.largest;
                whole_total_1_ = _e1150.total;
                metal::float4 _e1153 = whole_1_0_;
                metal::float4 _e1156 = split_1_0_;
                whole_1_0_ = metal::fma(_e1153, metal::float4(_e1150.before), _e1156 * _e1150.after);
            }
            {
                float _e1160 = whole_largest_2_;
                float _e1161 = whole_total_2_;
                float _e1162 = largest_2_;
                float _e1163 = total_2_;
                Merge _e1164 = merge(_e1160, _e1161, _e1162, _e1163);
                whole_largest_2_ = _e1164.largest;
                whole_total_2_ = _e1164.total;
                metal::float4 _e1167 = whole_2_0_;
                metal::float4 _e1170 = split_2_0_;
                whole_2_0_ = metal::fma(_e1167, metal::float4(_e1164.before), _e1170 * _e1164.after);
            }
            {
                float _e1174 = whole_largest_3_;
                float _e1175 = whole_total_3_;
                float _e1176 = largest_3_;
                float _e1177 = total_3_;
                Merge _e1178 = merge(_e1174, _e1175, _e1176, _e1177);
                whole_largest_3_ = _e1178.largest;
                whole_total_3_ = _e1178.total;
                metal::float4 _e1181 = whole_3_0_;
                metal::float4 _e1184 = split_3_0_;
                whole_3_0_ = metal::fma(_e1181, metal::float4(_e1178.before), _e1184 * _e1178.after);
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
        bool _e1204 = local_1;
        if (_e1204) {
            float _e1205 = whole_largest_0_;
            float _e1206 = whole_total_0_;
            float _e1208 = finish(_e1205, _e1206, first_head + head_here, sinks, _buffer_sizes);
            uint _e1212 = params.out_stride;
            uint at = ((first_row + row_here) * _e1212) + ((first_head + head_here) * VALUE_DIM);
            if ((column + 0u) < 16u) {
                float _e1232 = whole_0_0_.x;
                out[(at + ((column + 0u) * 4u)) + 0u] = _e1232 * _e1208;
                float _e1244 = whole_0_0_.y;
                out[(at + ((column + 0u) * 4u)) + 1u] = _e1244 * _e1208;
                float _e1256 = whole_0_0_.z;
                out[(at + ((column + 0u) * 4u)) + 2u] = _e1256 * _e1208;
                float _e1268 = whole_0_0_.w;
                out[(at + ((column + 0u) * 4u)) + 3u] = _e1268 * _e1208;
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
        bool _e1283 = local_2;
        if (_e1283) {
            float _e1284 = whole_largest_1_;
            float _e1285 = whole_total_1_;
            float _e1287 = finish(_e1284, _e1285, first_head + head_here_1, sinks, _buffer_sizes);
            uint _e1291 = params.out_stride;
            uint at_1 = ((first_row + row_here_1) * _e1291) + ((first_head + head_here_1) * VALUE_DIM);
            if ((column + 0u) < 16u) {
                float _e1311 = whole_1_0_.x;
                out[(at_1 + ((column + 0u) * 4u)) + 0u] = _e1311 * _e1287;
                float _e1323 = whole_1_0_.y;
                out[(at_1 + ((column + 0u) * 4u)) + 1u] = _e1323 * _e1287;
                float _e1335 = whole_1_0_.z;
                out[(at_1 + ((column + 0u) * 4u)) + 2u] = _e1335 * _e1287;
                float _e1347 = whole_1_0_.w;
                out[(at_1 + ((column + 0u) * 4u)) + 3u] = _e1347 * _e1287;
            }
        }
    }
    {
        uint row_here_2 = naga_div(slot_2 + 32u, 8u);
        uint head_here_2 = naga_mod(slot_2 + 32u, 8u);
        if (row_here_2 < _e9) {
            local_3 = head_here_2 < heads_here;
        } else {
            local_3 = false;
        }
        bool _e1362 = local_3;
        if (_e1362) {
            float _e1363 = whole_largest_2_;
            float _e1364 = whole_total_2_;
            float _e1366 = finish(_e1363, _e1364, first_head + head_here_2, sinks, _buffer_sizes);
            uint _e1370 = params.out_stride;
            uint at_2 = ((first_row + row_here_2) * _e1370) + ((first_head + head_here_2) * VALUE_DIM);
            if ((column + 0u) < 16u) {
                float _e1390 = whole_2_0_.x;
                out[(at_2 + ((column + 0u) * 4u)) + 0u] = _e1390 * _e1366;
                float _e1402 = whole_2_0_.y;
                out[(at_2 + ((column + 0u) * 4u)) + 1u] = _e1402 * _e1366;
                float _e1414 = whole_2_0_.z;
                out[(at_2 + ((column + 0u) * 4u)) + 2u] = _e1414 * _e1366;
                float _e1426 = whole_2_0_.w;
                out[(at_2 + ((column + 0u) * 4u)) + 3u] = _e1426 * _e1366;
            }
        }
    }
    {
        uint row_here_3 = naga_div(slot_2 + 48u, 8u);
        uint head_here_3 = naga_mod(slot_2 + 48u, 8u);
        if (row_here_3 < _e9) {
            local_4 = head_here_3 < heads_here;
        } else {
            local_4 = false;
        }
        bool _e1441 = local_4;
        if (_e1441) {
            float _e1442 = whole_largest_3_;
            float _e1443 = whole_total_3_;
            float _e1445 = finish(_e1442, _e1443, first_head + head_here_3, sinks, _buffer_sizes);
            uint _e1449 = params.out_stride;
            uint at_3 = ((first_row + row_here_3) * _e1449) + ((first_head + head_here_3) * VALUE_DIM);
            if ((column + 0u) < 16u) {
                float _e1469 = whole_3_0_.x;
                out[(at_3 + ((column + 0u) * 4u)) + 0u] = _e1469 * _e1445;
                float _e1481 = whole_3_0_.y;
                out[(at_3 + ((column + 0u) * 4u)) + 1u] = _e1481 * _e1445;
                float _e1493 = whole_3_0_.z;
                out[(at_3 + ((column + 0u) * 4u)) + 2u] = _e1493 * _e1445;
                float _e1505 = whole_3_0_.w;
                out[(at_3 + ((column + 0u) * 4u)) + 3u] = _e1505 * _e1445;
                return;
            } else {
                return;
            }
        } else {
            return;
        }
    }
}

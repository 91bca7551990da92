// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size1;
    uint size2;
    uint size3;
    uint size4;
    uint size5;
};

struct type_2 {
    float inner[256];
};
typedef float type_3[1];
struct Params {
    uint dim;
    uint x_stride;
    uint out_stride;
    float epsilon;
};
constant uint KIND = 0u;
constant uint WEIGHT = 1u;
constant uint BIAS = 1u;
constant uint ADD = 1u;

uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}

float sum_group(
    uint thread_1,
    float value_1,
    threadgroup type_2& group_values
) {
    uint half_ = 128u;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    group_values.inner[thread_1] = value_1;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e20 = half_;
            half_ = naga_div(_e20, 2u);
        }
        loop_init = false;
        uint _e6 = half_;
        if (_e6 > 0u) {
        } else {
            break;
        }
        {
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            uint _e9 = half_;
            if (thread_1 < _e9) {
                float _e13 = group_values.inner[thread_1];
                uint _e15 = half_;
                float _e18 = group_values.inner[thread_1 + _e15];
                group_values.inner[thread_1] = _e13 + _e18;
            }
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e25 = group_values.inner[0];
    return _e25;
}

float maximum_group(
    uint thread_2,
    float value_2,
    threadgroup type_2& group_values
) {
    uint half_1 = 128u;
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    group_values.inner[thread_2] = value_2;
    uint2 loop_bound_1 = uint2(4294967295u);
    bool loop_init_1 = true;
    while(true) {
        if (metal::all(loop_bound_1 == uint2(0u))) { break; }
        loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
        if (!loop_init_1) {
            uint _e22 = half_1;
            half_1 = naga_div(_e22, 2u);
        }
        loop_init_1 = false;
        uint _e6 = half_1;
        if (_e6 > 0u) {
        } else {
            break;
        }
        {
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            uint _e9 = half_1;
            if (thread_2 < _e9) {
                float _e15 = group_values.inner[thread_2];
                uint _e17 = half_1;
                float _e20 = group_values.inner[thread_2 + _e17];
                group_values.inner[thread_2] = metal::max(_e15, _e20);
            }
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e27 = group_values.inner[0];
    return _e27;
}

struct main_Input {
};
[[max_total_threads_per_threadgroup(256)]] kernel void main_(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint thread_ [[thread_index_in_threadgroup]]
, threadgroup type_2& group_values
, device type_3& x [[user(fake0)]]
, device type_3 const& weight [[user(fake0)]]
, device type_3 const& bias [[user(fake0)]]
, device type_3 const& delta [[user(fake0)]]
, device type_3& out [[user(fake0)]]
, constant Params& params [[user(fake0)]]
, constant _mslBufferSizes& _buffer_sizes [[user(fake0)]]
) {
    if (thread_ == 0u) {
        group_values = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float mean = 0.0;
    float squares = 0.0;
    uint k = {};
    uint k_1 = {};
    float value = {};
    uint _e5 = params.x_stride;
    uint row = group.x * _e5;
    k = thread_;
    uint2 loop_bound_2 = uint2(4294967295u);
    bool loop_init_2 = true;
    while(true) {
        if (metal::all(loop_bound_2 == uint2(0u))) { break; }
        loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
        if (!loop_init_2) {
            uint _e39 = k;
            k = _e39 + 256u;
        }
        loop_init_2 = false;
        uint _e12 = k;
        uint _e15 = params.dim;
        if (_e12 < _e15) {
        } else {
            break;
        }
        {
            uint _e18 = k;
            float _e21 = x[row + _e18];
            uint _e26 = params.dim;
            uint _e28 = k;
            float _e31 = delta[(group.x * _e26) + _e28];
            float value_3 = _e21 + _e31;
            uint _e34 = k;
            x[row + _e34] = value_3;
            float _e37 = squares;
            squares = metal::fma(value_3, value_3, _e37);
        }
    }
    float _e42 = squares;
    float _e43 = sum_group(thread_, _e42, group_values);
    uint _e46 = params.dim;
    float _e51 = params.epsilon;
    float inverse = 1.0 / metal::sqrt((_e43 / static_cast<float>(_e46)) + _e51);
    k_1 = thread_;
    uint2 loop_bound_3 = uint2(4294967295u);
    bool loop_init_3 = true;
    while(true) {
        if (metal::all(loop_bound_3 == uint2(0u))) { break; }
        loop_bound_3 -= uint2(loop_bound_3.y == 0u, 1u);
        if (!loop_init_3) {
            uint _e93 = k_1;
            k_1 = _e93 + 256u;
        }
        loop_init_3 = false;
        uint _e57 = k_1;
        uint _e60 = params.dim;
        if (_e57 < _e60) {
        } else {
            break;
        }
        {
            uint _e63 = k_1;
            float _e66 = x[row + _e63];
            float _e67 = mean;
            value = (_e66 - _e67) * inverse;
            float _e71 = value;
            uint _e73 = k_1;
            float _e75 = weight[_e73];
            value = _e71 * _e75;
            float _e77 = value;
            uint _e79 = k_1;
            float _e81 = bias[_e79];
            value = _e77 + _e81;
            uint _e87 = params.out_stride;
            uint _e89 = k_1;
            float _e92 = value;
            out[(group.x * _e87) + _e89] = _e92;
        }
    }
    return;
}

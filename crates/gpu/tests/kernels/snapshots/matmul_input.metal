// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
    uint size2;
};

typedef float type_2[1];
struct Params {
    uint first_row;
    uint columns;
    uint x_stride;
    uint out_stride;
    float epsilon;
    float alpha;
    float limit;
};
struct type_3 {
    float inner[256];
};
constant uint INPUT = 1u;
constant uint GATE = 0u;

float f_negative(
    float x
) {
    return -(x);
}

float f_absolute(
    float x_1
) {
    return metal::abs(x_1);
}

float f_exp(
    float x_2
) {
    return metal::exp(x_2);
}

float f_log(
    float x_3
) {
    return metal::log(x_3);
}

float f_log1p(
    float x_4
) {
    float u = 1.0 + x_4;
    if (u == 1.0) {
        return x_4;
    }
    return metal::log(u) * (x_4 / (u - 1.0));
}

float f_rsqrt(
    float x_5
) {
    return 1.0 / metal::sqrt(x_5);
}

float f_sqrt(
    float x_6
) {
    return metal::sqrt(x_6);
}

float f_sin(
    float x_7
) {
    return metal::sin(x_7);
}

float f_cos(
    float x_8
) {
    return metal::cos(x_8);
}

float f_tanh(
    float x_9
) {
    float e = metal::exp(2.0 * metal::clamp(x_9, -10.0, 10.0));
    if (metal::abs(x_9) < 0.02) {
        return x_9 - (((x_9 * x_9) * x_9) * 0.33333334);
    }
    return (e - 1.0) / (e + 1.0);
}

float f_sigmoid(
    float x_10
) {
    return 1.0 / (1.0 + metal::exp(-(metal::clamp(x_10, -88.0, 88.0))));
}

float f_silu(
    float x_11
) {
    float _e1 = f_sigmoid(x_11);
    return x_11 * _e1;
}

float f_erf(
    float x_12
) {
    float a_11 = metal::abs(x_12);
    if (a_11 < 0.5) {
        float s = x_12 * x_12;
        return (x_12 * metal::fma(s, metal::fma(s, metal::fma(s, metal::fma(s, metal::fma(s, -0.00075757573, 0.0046296297), -0.023809524), 0.1), -0.33333334), 1.0)) * 1.1283792;
    }
    float t = 1.0 / (1.0 + (0.3275911 * a_11));
    float p = t * metal::fma(t, metal::fma(t, metal::fma(t, metal::fma(t, 1.0614054, -1.4531521), 1.4214138), -0.28449672), 0.2548296);
    return metal::sign(x_12) * (1.0 - (p * metal::exp(-(a_11) * a_11)));
}

float f_gelu(
    float x_13
) {
    float _e5 = f_erf(x_13 * 0.70710677);
    return (0.5 * x_13) * (1.0 + _e5);
}

float f_gelu_tanh(
    float x_14
) {
    float _e10 = f_tanh(0.7978846 * (x_14 + (((0.044715 * x_14) * x_14) * x_14)));
    return (0.5 * x_14) * (1.0 + _e10);
}

float f_gelu_fast(
    float x_15
) {
    float _e3 = f_sigmoid(1.702 * x_15);
    return x_15 * _e3;
}

float f_relu(
    float x_16
) {
    return metal::max(x_16, 0.0);
}

float f_relu_squared(
    float x_17
) {
    float y = metal::max(x_17, 0.0);
    return y * y;
}

float f_softplus(
    float x_18
) {
    float _e6 = f_log1p(metal::exp(-(metal::abs(x_18))));
    return metal::max(x_18, 0.0) + _e6;
}

float f_floor(
    float x_19
) {
    return metal::floor(x_19);
}

float f_ceil(
    float x_20
) {
    return metal::ceil(x_20);
}

float f_round(
    float x_21
) {
    return metal::rint(x_21);
}

float f_add(
    float a,
    float b
) {
    return a + b;
}

float f_subtract(
    float a_1,
    float b_1
) {
    return a_1 - b_1;
}

float f_multiply(
    float a_2,
    float b_2
) {
    return a_2 * b_2;
}

float f_divide(
    float a_3,
    float b_3
) {
    return a_3 / b_3;
}

float f_maximum(
    float a_4,
    float b_4
) {
    return metal::max(a_4, b_4);
}

float f_minimum(
    float a_5,
    float b_5
) {
    return metal::min(a_5, b_5);
}

float f_power(
    float a_6,
    float b_6
) {
    return metal::pow(a_6, b_6);
}

float f_less(
    float a_7,
    float b_7
) {
    return (a_7 < b_7) ? 1.0 : 0.0;
}

float f_less_equal(
    float a_8,
    float b_8
) {
    return (a_8 <= b_8) ? 1.0 : 0.0;
}

float f_equal(
    float a_9,
    float b_9
) {
    return (a_9 == b_9) ? 1.0 : 0.0;
}

float f_select(
    float c,
    float a_10,
    float b_10
) {
    return (c != 0.0) ? a_10 : b_10;
}

uint row_columns(
    constant Params& params
) {
    uint _e2 = params.columns;
    return _e2;
}

float input_value(
    uint row,
    uint k_2,
    float inverse_1,
    device type_2 const& x_22,
    device type_2 const& norm_weight,
    constant Params& params,
    constant _mslBufferSizes& _buffer_sizes
) {
    uint _e3 = row_columns(params);
    if (k_2 >= _e3) {
        return 0.0;
    }
    uint _e9 = params.x_stride;
    float _e13 = x_22[(row * _e9) + k_2];
    float _e17 = norm_weight[k_2];
    return (_e13 * inverse_1) * _e17;
}
uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}


struct main_Input {
};
[[max_total_threads_per_threadgroup(256)]] kernel void main_(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint thread_ [[thread_index_in_threadgroup]]
, device type_2 const& x_22 [[user(fake0)]]
, device type_2 const& norm_weight [[user(fake0)]]
, device type_2& out [[user(fake0)]]
, constant Params& params [[user(fake0)]]
, threadgroup type_3& joined
, constant _mslBufferSizes& _buffer_sizes [[user(fake0)]]
) {
    if (thread_ == 0u) {
        joined = {};
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float inverse = 1.0;
    float square = 0.0;
    uint quad_ = {};
    uint k = {};
    uint half_ = 128u;
    uint k_1 = {};
    uint _e4 = params.first_row;
    uint row_1 = _e4 + group.x;
    quad_ = thread_ * 4u;
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e44 = quad_;
            quad_ = _e44 + 1024u;
        }
        loop_init = false;
        uint _e14 = quad_;
        uint _e17 = params.columns;
        if (_e14 < _e17) {
        } else {
            break;
        }
        {
            uint _e19 = quad_;
            k = _e19;
            uint2 loop_bound_1 = uint2(4294967295u);
            bool loop_init_1 = true;
            while(true) {
                if (metal::all(loop_bound_1 == uint2(0u))) { break; }
                loop_bound_1 -= uint2(loop_bound_1.y == 0u, 1u);
                if (!loop_init_1) {
                    uint _e42 = k;
                    k = _e42 + 1u;
                }
                loop_init_1 = false;
                uint _e21 = k;
                uint _e22 = quad_;
                uint _e27 = params.columns;
                if (_e21 < metal::min(_e22 + 4u, _e27)) {
                } else {
                    break;
                }
                {
                    uint _e33 = params.x_stride;
                    uint _e35 = k;
                    float value = x_22[(row_1 * _e33) + _e35];
                    float _e39 = square;
                    square = metal::fma(value, value, _e39);
                }
            }
        }
    }
    float _e49 = square;
    joined.inner[thread_] = _e49;
    uint2 loop_bound_2 = uint2(4294967295u);
    bool loop_init_2 = true;
    while(true) {
        if (metal::all(loop_bound_2 == uint2(0u))) { break; }
        loop_bound_2 -= uint2(loop_bound_2.y == 0u, 1u);
        if (!loop_init_2) {
            uint _e66 = half_;
            half_ = naga_div(_e66, 2u);
        }
        loop_init_2 = false;
        uint _e52 = half_;
        if (_e52 > 0u) {
        } else {
            break;
        }
        {
            metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
            uint _e55 = half_;
            if (thread_ < _e55) {
                float _e59 = joined.inner[thread_];
                uint _e61 = half_;
                float _e64 = joined.inner[thread_ + _e61];
                joined.inner[thread_] = _e59 + _e64;
            }
        }
    }
    metal::threadgroup_barrier(metal::mem_flags::mem_threadgroup);
    float _e71 = joined.inner[0];
    uint _e74 = params.columns;
    float _e79 = params.epsilon;
    inverse = 1.0 / metal::sqrt((_e71 / static_cast<float>(_e74)) + _e79);
    uint _e87 = params.out_stride;
    uint first = group.x * _e87;
    k_1 = thread_;
    uint2 loop_bound_3 = uint2(4294967295u);
    bool loop_init_3 = true;
    while(true) {
        if (metal::all(loop_bound_3 == uint2(0u))) { break; }
        loop_bound_3 -= uint2(loop_bound_3.y == 0u, 1u);
        if (!loop_init_3) {
            uint _e102 = k_1;
            k_1 = _e102 + 256u;
        }
        loop_init_3 = false;
        uint _e90 = k_1;
        uint _e93 = params.out_stride;
        if (_e90 < _e93) {
        } else {
            break;
        }
        {
            uint _e96 = k_1;
            uint _e99 = k_1;
            float _e100 = inverse;
            float _e101 = input_value(row_1, _e99, _e100, x_22, norm_weight, params, _buffer_sizes);
            out[first + _e96] = _e101;
        }
    }
    return;
}

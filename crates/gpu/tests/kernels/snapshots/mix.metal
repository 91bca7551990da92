// language: metal2.4
#include <metal_stdlib>
#include <simd/simd.h>

using metal::uint;

struct _mslBufferSizes {
    uint size0;
    uint size1;
    uint size2;
    uint size3;
};

typedef float type_2[1];
struct Params {
    uint count;
    uint dim;
    uint choices;
};
constant uint RESIDUAL = 1u;
uint naga_div(uint lhs, uint rhs) {
    return lhs / metal::select(rhs, 1u, rhs == 0u);
}

uint naga_mod(uint lhs, uint rhs) {
    return lhs % metal::select(rhs, 1u, rhs == 0u);
}


struct main_Input {
};
[[max_total_threads_per_threadgroup(256)]] kernel void main_(
  metal::uint3 group [[threadgroup_position_in_grid]]
, uint thread_ [[thread_index_in_threadgroup]]
, device type_2 const& x [[user(fake0)]]
, device type_2 const& weights [[user(fake0)]]
, device type_2 const& residual [[user(fake0)]]
, device type_2& out [[user(fake0)]]
, constant Params& params [[user(fake0)]]
, constant _mslBufferSizes& _buffer_sizes [[user(fake0)]]
) {
    float sum = 0.0;
    uint k = 0u;
    uint e = (((group.y * 32768u) + group.x) * 256u) + thread_;
    uint _e12 = params.count;
    if (e >= _e12) {
        return;
    }
    uint _e16 = params.dim;
    uint token = naga_div(e, _e16);
    uint2 loop_bound = uint2(4294967295u);
    bool loop_init = true;
    while(true) {
        if (metal::all(loop_bound == uint2(0u))) { break; }
        loop_bound -= uint2(loop_bound.y == 0u, 1u);
        if (!loop_init) {
            uint _e51 = k;
            k = _e51 + 1u;
        }
        loop_init = false;
        uint _e22 = k;
        uint _e25 = params.choices;
        if (_e22 < _e25) {
        } else {
            break;
        }
        {
            uint _e29 = params.choices;
            uint _e31 = k;
            uint pair = (token * _e29) + _e31;
            float _e35 = weights[pair];
            uint _e39 = params.dim;
            uint _e43 = params.dim;
            float _e47 = x[(pair * _e39) + naga_mod(e, _e43)];
            float _e48 = sum;
            sum = metal::fma(_e35, _e47, _e48);
        }
    }
    float _e55 = residual[e];
    float _e56 = sum;
    sum = _e55 + _e56;
    float _e60 = sum;
    out[e] = _e60;
    return;
}

        // The end of feature `feature` of a lone row, whose sum is `sum`; where it is a gate, `up` is its up's.
        let bias_at = params.out_first + feature;
        let at = bias_at;
#include matmul_end
#if PAIRED == 1
#if BIAS == 1
        up += bias[at + params.features];
#end
        out[at + params.features] = up;
        both[feature] = gated(sum, up, params.alpha, params.limit);
#end

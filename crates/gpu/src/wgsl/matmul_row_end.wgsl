        // The end of feature `feature` of a lone row, whose sum is `sum`; where it is a gate, `up` is its up's.
        let at = params.out_first + feature;
#if BIAS == 1
        sum += bias[at];
#end
#if RESIDUAL == 2
        plain[at] = sum;
#end
#if RESIDUAL > 0
        sum = residual[at] + sum;
#end
        out[at] = sum;
#if PAIRED == 1
#if BIAS == 1
        up += bias[at + params.features];
#end
        out[at + params.features] = up;
        both[feature] = gated(sum, up, params.alpha, params.limit);
#end

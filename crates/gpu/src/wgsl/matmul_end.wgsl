        // The end of an output: its `sum` goes to `at`, its bias stands at `bias_at`.
#if BIAS == 1
        sum += bias[bias_at];
#end
#if RESIDUAL == 2
        plain[at] = sum;
#end
#if RESIDUAL > 0
        sum = residual[at] + sum;
#end
        out[at] = sum;

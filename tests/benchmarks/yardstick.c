/* The loops of a sweep over a sparse graph, with gcc's vectors and libm's tanh, to hold compiled loops against.

   State is (rows, width): each pre-activation a row of a, each output a row of o, the samples of a batch side by side.
   Inputs are the first rows of o. As everywhere, loading and storing a row costs more than multiplying, so each pass
   over a row takes four of its weights. */

#include <math.h>
#include <stdint.h>

typedef uint32_t number;
typedef void (*function)(double *restrict a, double *restrict o, long width);

/* o = tanh a; its derivative takes the place of a. */
void tanh_row(double *restrict a, double *restrict o, long width) {
    for (long k = 0; k < width; k++) {
        double y = tanh(a[k]);
        o[k] = y;
        a[k] = 1 - y * y;
    }
}

/* Indirect, as the activations of a graph are not known when its loops are compiled. */
function activation = tanh_row;

enum { AT_ONCE = 2048 };

/* The weights of a regular row lie one behind the other. The rows from r to stop[r] do not read each other; their activation is called once. */
void forward(const number *restrict start, const number *restrict column, const number *restrict position,
             const number *restrict stop, const int64_t *restrict bias, const uint8_t *restrict regular,
             const double *restrict theta, double *restrict a, double *restrict o, long inputs, long rows, long width) {
    const function f = *(function volatile *)&activation;
    const long at_once = width < AT_ONCE ? AT_ONCE / width : 1;
    long first = 0, last;
    for (long r = 0; r < rows; r++) {
        if (r == first) last = stop[r] < r + at_once ? stop[r] : r + at_once;
        number e = start[r];
        const number end = start[r + 1];
        double *restrict here = a + r * width;
        double x = bias[r] >= 0 ? theta[bias[r]] : 0;
        if (width == 1) {
            double y = 0; /* two sums do not wait for each other */
            if (regular[r]) {
                const double *w = theta + position[e] - e;
                for (; e + 2 <= end; e += 2) {
                    x += w[e] * o[column[e]];
                    y += w[e + 1] * o[column[e + 1]];
                }
            }
            for (; e + 2 <= end; e += 2) {
                x += theta[position[e]] * o[column[e]];
                y += theta[position[e + 1]] * o[column[e + 1]];
            }
            if (e < end) x += theta[position[e]] * o[column[e]];
            *here = x + y;
        } else {
            for (long k = 0; k < width; k++) here[k] = x;
            for (; e + 4 <= end; e += 4) {
                const double w0 = theta[position[e]], w1 = theta[position[e + 1]];
                const double w2 = theta[position[e + 2]], w3 = theta[position[e + 3]];
                const double *u0 = o + (long)column[e] * width, *u1 = o + (long)column[e + 1] * width;
                const double *u2 = o + (long)column[e + 2] * width, *u3 = o + (long)column[e + 3] * width;
                for (long k = 0; k < width; k++) here[k] += w0 * u0[k] + w1 * u1[k] + w2 * u2[k] + w3 * u3[k];
            }
            for (; e < end; e++) {
                const double w = theta[position[e]], *u = o + (long)column[e] * width;
                for (long k = 0; k < width; k++) here[k] += w * u[k];
            }
        }
        if (r + 1 == last) {
            f(a + first * width, o + (inputs + first) * width, (last - first) * width);
            first = last;
        }
    }
}

/* With one sample a row passes its delta on to its parents; all of g is set before. */
void backward_one(const number *restrict start, const number *restrict column, const number *restrict position,
                  const int64_t *restrict bias, const uint8_t *restrict regular, const double *restrict theta,
                  double *restrict a, const double *restrict o, double *restrict g, double *restrict gradient, long inputs, long rows) {
    for (long r = rows; r-- > 0;) {
        const double d = a[r] *= g[inputs + r];
        if (bias[r] >= 0) gradient[bias[r]] += d;
        number e = start[r];
        if (regular[r]) {
            const double *w = theta + position[e] - e;
            double *w_gradient = gradient + position[e] - e;
            for (; e < start[r + 1]; e++) {
                g[column[e]] += w[e] * d;
                w_gradient[e] += d * o[column[e]];
            }
        }
        for (; e < start[r + 1]; e++) {
            g[column[e]] += theta[position[e]] * d;
            gradient[position[e]] += d * o[column[e]];
        }
    }
}

/* Rows of g that are preset hold direct derivatives with respect to o, all others start at 0; the derivatives of theta
   are added to gradient. */
void backward(const number *restrict start, const number *restrict row, const number *restrict position,
              const int64_t *restrict bias, const uint8_t *restrict preset, const double *restrict theta,
              double *restrict a, const double *restrict o, double *restrict g, double *restrict gradient, long inputs,
              long rows, long width) {
    for (long c = inputs + rows; c-- > 0;) {
        number e = start[c];
        const number end = start[c + 1];
        double *restrict here = g + c * width;
        const double *restrict x = o + c * width;
        if (!preset[c])
            for (long k = 0; k < width; k++) here[k] = 0;
        for (; e + 4 <= end; e += 4) {
            const double w0 = theta[position[e]], w1 = theta[position[e + 1]];
            const double w2 = theta[position[e + 2]], w3 = theta[position[e + 3]];
            const double *d0 = a + (long)row[e] * width, *d1 = a + (long)row[e + 1] * width;
            const double *d2 = a + (long)row[e + 2] * width, *d3 = a + (long)row[e + 3] * width;
            double s0 = 0, s1 = 0, s2 = 0, s3 = 0;
            for (long k = 0; k < width; k++) {
                here[k] += w0 * d0[k] + w1 * d1[k] + w2 * d2[k] + w3 * d3[k];
                s0 += d0[k] * x[k];
                s1 += d1[k] * x[k];
                s2 += d2[k] * x[k];
                s3 += d3[k] * x[k];
            }
            gradient[position[e]] += s0;
            gradient[position[e + 1]] += s1;
            gradient[position[e + 2]] += s2;
            gradient[position[e + 3]] += s3;
        }
        for (; e < end; e++) {
            const double w = theta[position[e]], *d = a + (long)row[e] * width;
            double s = 0;
            for (long k = 0; k < width; k++) {
                here[k] += w * d[k];
                s += d[k] * x[k];
            }
            gradient[position[e]] += s;
        }
        if (c >= inputs) {
            double *restrict delta = a + (c - inputs) * width;
            double s = 0;
            for (long k = 0; k < width; k++) {
                delta[k] *= here[k];
                s += delta[k];
            }
            if (bias[c - inputs] >= 0) gradient[bias[c - inputs]] += s;
        }
    }
}

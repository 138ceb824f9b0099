/* Runs number parsing, hashing, and the kernels of linear layers on made-up rows, and prints what comes out.
 * Another processor or compiler must print the same, but for rounding: see tools/emulate.sh. */
#include <stdio.h>

#include "kernels/layers/linear_kernels.h"
#include "text/murmur.h"
#include "text/number.h"

enum { N_FEATURES = 50, N_ROWS = 400, MOST = 23, ROOM = MOST + 2 * VF_LANES };

static const char *const NAMES[] = {"fixed", "sgd", "adagrad", "rowwise", "adam", "ftrl"};

static uint64_t state = 1;

static uint32_t draw(void) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(state >> 33);
}

static double uniform(void) { return draw() / 2147483648.0 - 0.5; }

static void print_numbers(void) {
    static const char *const texts[] = {"0\n", "-1.5e3\n", "3.14159265358979\n", "12345678901234567\n",
                                        "0.1234567890123456789\n", "1e-19\n", "7.5e-12\n", "99999999.5\n", ".5\n", "x\n"};
    for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++) {
        const char *at = texts[k];
        double value = 0.0;
        const int kind = vf_read_number(&at, texts[k] + strlen(texts[k]), &value);
        printf("number %d %.17g\n", kind, kind == VF_NUMBER ? value : 0.0);
    }
}

static void print_hashes(void) {
    const uint8_t *text = (const uint8_t *)"city=the quick brown fox jumps over the lazy dog";
    const vf_murmur prefix = vf_murmur_prefix(text, 5, 0);
    for (int64_t length = 0; length < 20; length++)
        printf("hash %u\n", vf_murmur_hash(prefix, text + 5, length));
}

/* A record is weights, two numbers a weight, one of the feature, and its clock; FTRL's of one output has no weights. */
static vf_linear layer_of(int kind, int lazy, int32_t n_out, float *record, float *values) {
    const int sums_only = kind == VF_FTRL && n_out == 1;
    vf_linear out = {.record = record, .n_in = N_FEATURES, .n_out = n_out, .average_slot = -1};
    int32_t slot = sums_only ? 0 : n_out;
    out.slot1 = out.slot2 = out.row_slot = out.clock_slot = -1;
    if (VF_USES_S1(kind))
        out.slot1 = slot, slot += n_out;
    if (VF_USES_S2(kind))
        out.slot2 = slot, slot += n_out;
    if (VF_USES_ROW(kind))
        out.row_slot = slot++;
    if (lazy != VF_EAGER && kind != VF_FTRL)
        out.clock_slot = slot, slot += kind == VF_SGD ? 3 : 1;
    out.stride = slot;
    out.values = sums_only ? values : NULL;
    const vf_optimizer optimizer = {0.1f, 1e-3f, 0.5f, 0.9f, 0.99f, logf(0.9f), logf(0.99f)};
    const vf_penalty penalty = {lazy == VF_LAZY ? 1e-3f : 0.0f, lazy ? 1e-2f : 0.0f, NULL, NULL, NULL, -INFINITY};
    out.optimizer = optimizer;
    out.penalty = penalty;
    return out;
}

static void train(int kind, int lazy, int32_t n_out) {
    static float record[N_FEATURES * 32], values[N_FEATURES], rooms[7][4 * ROOM];
    static int64_t at[ROOM];
    memset(record, 0, sizeof record);
    memset(values, 0, sizeof values);
    const vf_copies copies = {rooms[0], rooms[1], rooms[2], rooms[3], rooms[4], rooms[5], rooms[6], at};
    const vf_linear layer = layer_of(kind, lazy, n_out, record, values);
    const vf_linear_kernels *kernels = &VF_KERNELS[kind][lazy];
    vf_clock clock = {0, 0.05, 0.0};
    double loss = 0.0, sum = 0.0;
    state = 7;
    for (int row = 0; row < N_ROWS; row++, clock.step++, clock.elapsed += clock.rate) {
        int32_t indices[ROOM];
        float x[ROOM] = {0.0f}, out[16] = {0.0f}, delta[16] = {0.0f};
        vf_row now = {indices, x, 0};
        double target = 0.0;
        for (int32_t j = (int32_t)(draw() % 4); j < N_FEATURES && now.length < MOST; j += 1 + (int32_t)(draw() % 4)) {
            indices[now.length] = j;
            x[now.length++] = (float)uniform();
            target += x[now.length - 1] * ((j % 5) - 2.0);
        }
        kernels->forward(&layer, &clock, now, copies, out);
        for (int32_t c = 0; c < n_out; c++) {
            delta[c] = out[c] - (float)(target * (c + 1));
            loss += 0.5 * delta[c] * delta[c];
        }
        kernels->update(&layer, &clock, now, copies, delta);
    }
    const int64_t bad = kernels->settle(&layer, &clock, 0, N_FEATURES);
    const float *weights = layer.values ? values : record;
    const int32_t stride = layer.values ? n_out : layer.stride;
    for (int32_t j = 0; j < N_FEATURES; j++)
        for (int32_t c = 0; c < n_out; c++)
            sum += fabs(weights[j * stride + c]) * (j + c + 1);
    printf("%s lazy=%d n_out=%d: loss %.9g weights %.9g first %.9g bad %d\n", NAMES[kind], lazy, n_out, loss / N_ROWS, sum,
           weights[3 * stride], (int)bad);
}

int main(void) {
    print_numbers();
    print_hashes();
    for (int kind = VF_SGD; kind <= VF_FTRL; kind++)
        for (int lazy = 0; lazy < VF_N_LAZY; lazy++)
            for (int32_t n_out = 1; n_out <= 7; n_out += 2)
                if (kind != VF_FTRL || n_out > 1 || lazy != VF_LAZY)
                    train(kind, lazy, n_out);
    return 0;
}

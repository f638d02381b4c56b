// The array as one would write it by hand: arrays of banks, one loop over them, $countones. It does what as many
// instances of the emitted bank do (bench/banks.sv), clock for clock.
module bench_banks #(
    parameter BANKS = 64,
    parameter WORD_BITS = 64,
    parameter ROWS = 512,
    parameter ROW_BITS = 9,
    parameter COUNT_BITS = 7,
    parameter ACCUMULATOR_BITS = 20,
    parameter THRESHOLD_ROWS = 64,
    parameter THRESHOLD_BITS = 6
) (
    input  wire                              clk,
    input  wire                              rst,
    input  wire [BANKS-1:0]                  array_enable,
    input  wire                              array_write,
    input  wire [ROW_BITS-1:0]               array_row,
    input  wire [WORD_BITS-1:0]              array_write_data,
    input  wire [WORD_BITS-1:0]              operand,
    input  wire [WORD_BITS-1:0]              mask,
    input  wire [COUNT_BITS-1:0]             mask_count,
    input  wire [11:0]                       control,
    input  wire                              threshold_read_enable,
    input  wire [THRESHOLD_BITS-1:0]         threshold_read_row,
    input  wire [BANKS-1:0]                  threshold_write_enable,
    input  wire [THRESHOLD_BITS-1:0]         threshold_write_row,
    input  wire [ACCUMULATOR_BITS:0]         threshold_write_data,
    output logic [BANKS-1:0]                  bits,
    output logic [BANKS*ACCUMULATOR_BITS-1:0] sums
);
    localparam WORD_SUM_BITS = COUNT_BITS + 9;
    typedef logic signed [ACCUMULATOR_BITS-1:0] sum_t;

    wire sum_enable = control[1], sum_first = control[2];
    wire accumulate_enable = control[6], accumulate_first = control[7], accumulate_from_zero = control[8];
    wire pool_enable = control[9], pool_first = control[10], pool_flipped = control[11];

    logic [WORD_BITS-1:0]            cells [BANKS][ROWS];
    logic [WORD_BITS-1:0]            row [BANKS];
    logic [ACCUMULATOR_BITS:0]       thresholds [BANKS][THRESHOLD_ROWS];
    logic [ACCUMULATOR_BITS:0]       threshold [BANKS];
    logic [COUNT_BITS-1:0]           count [BANKS];
    logic signed [WORD_SUM_BITS-1:0] word_sum [BANKS];
    sum_t                            accumulator [BANKS];
    logic                            flip [BANKS];
    logic                            pooled [BANKS];

    for (genvar b = 0; b < BANKS; b++) begin : banks
        initial begin
            for (int i = 0; i < ROWS; i++) cells[b][i] = '0;
            for (int i = 0; i < THRESHOLD_ROWS; i++) thresholds[b][i] = '0;
            row[b] = '0;
            threshold[b] = '0;
        end

        wire pooled_now = (~accumulator[b][ACCUMULATOR_BITS-1] ^ (flip[b] & pool_flipped)) | (pooled[b] & ~pool_first);
        assign bits[b] = pooled_now ^ (flip[b] & ~pool_flipped);
        assign sums[b*ACCUMULATOR_BITS +: ACCUMULATOR_BITS] = accumulator[b];

        always_ff @(posedge clk) begin
            if (array_enable[b]) begin
                if (array_write) cells[b][array_row] <= array_write_data;
                else row[b] <= cells[b][array_row];
            end
            if (threshold_read_enable) threshold[b] <= thresholds[b][threshold_read_row];
            if (threshold_write_enable[b]) thresholds[b][threshold_write_row] <= threshold_write_data;

            count[b] <= COUNT_BITS'($countones(~(row[b] ^ operand) & mask));
            if (sum_enable)
                word_sum[b] <= (sum_first ? '0 : word_sum[b] <<< 1)
                    + WORD_SUM_BITS'({1'b0, count[b], 1'b0}) - WORD_SUM_BITS'({1'b0, mask_count});
            if (accumulate_enable) begin
                accumulator[b] <= (!accumulate_first ? accumulator[b] : accumulate_from_zero ? '0
                    : sum_t'(threshold[b][ACCUMULATOR_BITS-1:0])) + sum_t'(word_sum[b]);
                if (accumulate_first) flip[b] <= threshold[b][ACCUMULATOR_BITS];
            end
            if (pool_enable) pooled[b] <= pooled_now;
            if (rst) begin
                count[b] <= '0;
                word_sum[b] <= '0;
                accumulator[b] <= '0;
                flip[b] <= '0;
                pooled[b] <= '0;
            end
        end
    end
endmodule

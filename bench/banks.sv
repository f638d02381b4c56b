// As many instances of the emitted bank, behind the ports of the array that is written by hand (bench/array.sv).
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
    for (genvar b = 0; b < BANKS; b++) begin : banks
        spinbnn_bank bank (
            .clk,
            .rst,
            .array_enable(array_enable[b]),
            .array_write,
            .array_row,
            .array_write_data,
            .array_read_data(),
            .operands(operand),
            .masks(mask),
            .mask_counts(mask_count),
            .control,
            .threshold_read_enable,
            .threshold_read_row,
            .threshold_write_enable(threshold_write_enable[b]),
            .threshold_write_row,
            .threshold_write_data,
            .bits(bits[b]),
            .sums(sums[b*ACCUMULATOR_BITS +: ACCUMULATOR_BITS])
        );
    end
endmodule

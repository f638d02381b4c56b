// Either array behind registers, from which its inputs come in a machine too.
module bench_array #(
    parameter BANKS = 64,
    parameter WORD_BITS = 64,
    parameter ROWS = 512,
    parameter ROW_BITS = 9,
    parameter COUNT_BITS = 7,
    parameter ACCUMULATOR_BITS = 20,
    parameter THRESHOLD_ROWS = 64,
    parameter THRESHOLD_BITS = 6
) (
    input  wire                               clk,
    input  wire                               rst,
    input  wire  [BANKS-1:0]                  array_enable,
    input  wire                               array_write,
    input  wire  [ROW_BITS-1:0]               array_row,
    input  wire  [WORD_BITS-1:0]              array_write_data,
    input  wire  [WORD_BITS-1:0]              operand,
    input  wire  [WORD_BITS-1:0]              mask,
    input  wire  [COUNT_BITS-1:0]             mask_count,
    input  wire  [11:0]                       control,
    input  wire                               threshold_read_enable,
    input  wire  [THRESHOLD_BITS-1:0]         threshold_read_row,
    input  wire  [BANKS-1:0]                  threshold_write_enable,
    input  wire  [THRESHOLD_BITS-1:0]         threshold_write_row,
    input  wire  [ACCUMULATOR_BITS:0]         threshold_write_data,
    output logic [BANKS-1:0]                  bits,
    output logic [BANKS*ACCUMULATOR_BITS-1:0] sums
);
    logic                              rst_q;
    logic [BANKS-1:0]                  array_enable_q;
    logic                              array_write_q;
    logic [ROW_BITS-1:0]               array_row_q;
    logic [WORD_BITS-1:0]              array_write_data_q;
    logic [WORD_BITS-1:0]              operand_q;
    logic [WORD_BITS-1:0]              mask_q;
    logic [COUNT_BITS-1:0]             mask_count_q;
    logic [11:0]                       control_q;
    logic                              threshold_read_enable_q;
    logic [THRESHOLD_BITS-1:0]         threshold_read_row_q;
    logic [BANKS-1:0]                  threshold_write_enable_q;
    logic [THRESHOLD_BITS-1:0]         threshold_write_row_q;
    logic [ACCUMULATOR_BITS:0]         threshold_write_data_q;

    always_ff @(posedge clk) begin
        rst_q <= rst;
        array_enable_q <= array_enable;
        array_write_q <= array_write;
        array_row_q <= array_row;
        array_write_data_q <= array_write_data;
        operand_q <= operand;
        mask_q <= mask;
        mask_count_q <= mask_count;
        control_q <= control;
        threshold_read_enable_q <= threshold_read_enable;
        threshold_read_row_q <= threshold_read_row;
        threshold_write_enable_q <= threshold_write_enable;
        threshold_write_row_q <= threshold_write_row;
        threshold_write_data_q <= threshold_write_data;
    end

    bench_banks #(
        .BANKS(BANKS),
        .WORD_BITS(WORD_BITS),
        .ROWS(ROWS),
        .ROW_BITS(ROW_BITS),
        .COUNT_BITS(COUNT_BITS),
        .ACCUMULATOR_BITS(ACCUMULATOR_BITS),
        .THRESHOLD_ROWS(THRESHOLD_ROWS),
        .THRESHOLD_BITS(THRESHOLD_BITS)
    ) array (
        .clk(clk),
        .rst(rst_q),
        .array_enable(array_enable_q),
        .array_write(array_write_q),
        .array_row(array_row_q),
        .array_write_data(array_write_data_q),
        .operand(operand_q),
        .mask(mask_q),
        .mask_count(mask_count_q),
        .control(control_q),
        .threshold_read_enable(threshold_read_enable_q),
        .threshold_read_row(threshold_read_row_q),
        .threshold_write_enable(threshold_write_enable_q),
        .threshold_write_row(threshold_write_row_q),
        .threshold_write_data(threshold_write_data_q),
        .bits(bits),
        .sums(sums)
    );
endmodule

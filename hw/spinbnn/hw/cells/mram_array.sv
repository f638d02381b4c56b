// One bank of MRAM cells: one port, a row a clock. This model is a block RAM on an FPGA; on an ASIC a macro with the
// same ports takes its place. It has no reset: cells keep what they hold.
module spinbnn_mram_array #(
    parameter WORD_BITS = 64,
    parameter ROWS = 512,
    parameter ROW_ADDRESS_BITS = 9
) (
    input  wire                        clk,
    input  wire                        enable,
    input  wire                        write,
    input  wire [ROW_ADDRESS_BITS-1:0] row,
    input  wire [WORD_BITS-1:0]        write_data,
    output reg  [WORD_BITS-1:0]        read_data
);
    reg [WORD_BITS-1:0] cells [0:ROWS-1];

    integer i;
    initial begin
        for (i = 0; i < ROWS; i = i + 1) cells[i] = {WORD_BITS{1'b0}};
        read_data = {WORD_BITS{1'b0}};
    end

    always @(posedge clk) begin
        if (enable) begin
            if (write) cells[row] <= write_data;
            else read_data <= cells[row];
        end
    end
endmodule

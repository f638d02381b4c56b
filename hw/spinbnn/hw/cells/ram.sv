// Synchronous memory, one read port and one write port. The read data hold while read_enable is 0; a read in the
// clock of a write to the same word gives the old word.
module spinbnn_ram #(
    parameter WIDTH = 32,
    parameter DEPTH = 16,
    parameter ADDRESS_BITS = 4
) (
    input  wire                    clk,
    input  wire                    read_enable,
    input  wire [ADDRESS_BITS-1:0] read_address,
    output reg  [WIDTH-1:0]        read_data,
    input  wire                    write_enable,
    input  wire [ADDRESS_BITS-1:0] write_address,
    input  wire [WIDTH-1:0]        write_data
);
    reg [WIDTH-1:0] cells [0:DEPTH-1];

    integer i;
    initial begin
        for (i = 0; i < DEPTH; i = i + 1) cells[i] = {WIDTH{1'b0}};
        read_data = {WIDTH{1'b0}};
    end

    always @(posedge clk) begin
        if (read_enable) read_data <= cells[read_address];
        if (write_enable) cells[write_address] <= write_data;
    end
endmodule

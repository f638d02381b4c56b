// Random inputs for the banks in every clock, for Icarus.
module bench_icarus;
    parameter CLOCKS = 1000;
    reg clk = 0, rst = 1;
    reg [63:0] operand, mask;
    reg [11:0] control;
    wire [63:0] bits;
    wire [64*20-1:0] sums;
    integer i;
    bench_banks array (
        .clk(clk), .rst(rst), .array_enable({64{1'b1}}), .array_write(1'b0), .array_row(operand[8:0]),
        .array_write_data(64'd0), .operand(operand), .mask(mask), .mask_count(mask[6:0]), .control(control),
        .threshold_read_enable(1'b1), .threshold_read_row(mask[5:0]), .threshold_write_enable(64'd0),
        .threshold_write_row(6'd0), .threshold_write_data(21'd0), .bits(bits), .sums(sums)
    );
    initial begin
        for (i = 0; i < CLOCKS; i = i + 1) begin
            operand = {$random, $random};
            mask = {$random, $random};
            control = $random;
            rst = i == 0;
            #1 clk = 1;
            #1 clk = 0;
        end
    end
endmodule

// Candidates for the population count, beside what is emitted (hw/spinbnn/hw/cells/popcount.sv).

// A tree of adders of two numbers.
module bench_adder_tree #(
    parameter WIDTH = 64,
    parameter COUNT_BITS = 7
) (
    input  wire [WIDTH-1:0]      bits,
    output wire [COUNT_BITS-1:0] count
);
    localparam HALF = WIDTH / 2;
    generate
        if (WIDTH == 1) begin : leaf
            assign count = bits;
        end else begin : node
            wire [COUNT_BITS-1:0] lower, upper;
            bench_adder_tree #(.WIDTH(HALF), .COUNT_BITS(COUNT_BITS)) a (.bits(bits[HALF-1:0]), .count(lower));
            bench_adder_tree #(.WIDTH(WIDTH - HALF), .COUNT_BITS(COUNT_BITS)) b (.bits(bits[WIDTH-1:HALF]), .count(upper));
            assign count = lower + upper;
        end
    endgenerate
endmodule

// Compressors of six bits to three, three look-up tables of six inputs each, and then adders.
module bench_compressors #(
    parameter WIDTH = 64,
    parameter COUNT_BITS = 7
) (
    input  wire [WIDTH-1:0]      bits,
    output wire [COUNT_BITS-1:0] count
);
    localparam SIXES = (WIDTH + 5) / 6;
    wire [6*SIXES-1:0] padded = bits;
    reg [SIXES-1:0] ones, twos, fours;
    integer i, j;
    reg [2:0] six;
    always @* begin
        for (i = 0; i < SIXES; i = i + 1) begin
            six = 0;
            for (j = 0; j < 6; j = j + 1) six = six + padded[6*i + j];
            {fours[i], twos[i], ones[i]} = six;
        end
    end
    generate
        if (SIXES > 2) begin : next
            wire [COUNT_BITS-1:0] a, b, c;
            bench_compressors #(.WIDTH(SIXES), .COUNT_BITS(COUNT_BITS)) of_ones (.bits(ones), .count(a));
            bench_compressors #(.WIDTH(SIXES), .COUNT_BITS(COUNT_BITS)) of_twos (.bits(twos), .count(b));
            bench_compressors #(.WIDTH(SIXES), .COUNT_BITS(COUNT_BITS)) of_fours (.bits(fours), .count(c));
            assign count = a + (b << 1) + (c << 2);
        end else if (SIXES == 2) begin : two
            assign count = {fours[0], twos[0], ones[0]} + {fours[1], twos[1], ones[1]};
        end else begin : one
            assign count = {fours, twos, ones};
        end
    endgenerate
endmodule

// Bit by bit.
module bench_loop #(
    parameter WIDTH = 64,
    parameter COUNT_BITS = 7
) (
    input  wire [WIDTH-1:0]      bits,
    output reg  [COUNT_BITS-1:0] count
);
    integer i;
    always @* begin
        count = 0;
        for (i = 0; i < WIDTH; i = i + 1) count = count + bits[i];
    end
endmodule

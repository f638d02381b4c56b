// Number of ones, as each tool does it best; tests prove all three equal.
module spinbnn_popcount #(
    parameter WIDTH = 64,
    parameter COUNT_BITS = 7
) (
    input  wire [WIDTH-1:0]      bits,
    output wire [COUNT_BITS-1:0] count
);
`ifdef SYNTHESIS
    localparam LEVELS = $clog2(WIDTH + 2) - 2;
    localparam PART = (2 << LEVELS) - 1;  // bits of the largest tree whose adders all have three inputs
`elsif VERILATOR
    localparam PART = WIDTH < 64 ? WIDTH : 64;
    localparam HALVED = PART > 32;  // $countones would count each half by itself, at twice the cost
`else
    localparam PART = WIDTH;
    localparam HALVED = 0;
`endif
    localparam REST = WIDTH - PART;
    generate
        if (REST > 0) begin : split
            localparam PART_BITS = $clog2(PART + 1);
            localparam REST_BITS = $clog2(REST + 1);
            wire [PART_BITS-1:0] first;
            wire [REST_BITS-1:0] rest;
            spinbnn_popcount #(.WIDTH(PART), .COUNT_BITS(PART_BITS))
                lower (.bits(bits[PART-1:0]), .count(first));
            spinbnn_popcount #(.WIDTH(REST), .COUNT_BITS(REST_BITS))
                upper (.bits(bits[WIDTH-1:PART]), .count(rest));
            /* verilator lint_off WIDTHEXPAND */
            assign count = first + rest;
            /* verilator lint_on WIDTHEXPAND */
        end else begin : whole
`ifdef SYNTHESIS
            // Full adders on carry chains: the look-up table of such an adder has inputs left for the gates that make
            // a bit. Each takes two counts of the level below and a new bit. All of a level are one addition, with a
            // place below each that is 0 + 0 or 1 + 1: it takes the carry of the adder before, and carries a bit in.
            // That bit is one count's lowest; the new bit has its place. Of a difference the first operand is known
            // to be the carry chain's own, which must be a signal: the new bit, being the other, then need not be.
            genvar level, i;
            for (level = 0; level <= LEVELS; level = level + 1) begin : levels
                localparam ADDERS = 1 << (LEVELS - level);
                /* verilator lint_off UNUSEDSIGNAL */
                wire [ADDERS*(level+1):0] sums;  // the counts, and below them a place that nobody needs
                /* verilator lint_on UNUSEDSIGNAL */
                if (level == 0) begin : leaves
                    assign sums = {bits[PART-1 -: ADDERS], 1'b0};
                end else begin : adders
                    wire [ADDERS*(level+1):0] a, b;
                    for (i = 0; i < ADDERS; i = i + 1) begin : adder
                        wire [level-1:0] one = levels[level-1].sums[2*i*level + 1 +: level];
                        wire [level-1:0] other = levels[level-1].sums[(2*i+1)*level + 1 +: level];
                        assign a[i*(level+1) +: level+1] = {one, other[0]};
                        assign b[i*(level+1) +: 2] = {bits[ADDERS-1 + i], other[0]};
                        if (level > 1) begin : upper
                            assign b[i*(level+1)+2 +: level-1] = other[level-1:1];
                        end
                    end
                    assign a[ADDERS*(level+1)] = 1'b0;
                    assign b[ADDERS*(level+1)] = 1'b0;
                    assign sums = a - ~b;  // a + b + 1, which changes nothing but the lowest place
                end
            end
            assign count = levels[LEVELS].sums[COUNT_BITS:1];
`else
            /* verilator lint_off WIDTH */
            if (HALVED) begin : wide
                function automatic [63:0] ones(input [63:0] x);
                    x = x - (x >> 1 & 64'h5555555555555555);
                    x = (x & 64'h3333333333333333) + (x >> 2 & 64'h3333333333333333);
                    x = x + (x >> 4) & 64'h0f0f0f0f0f0f0f0f;
                    ones = x * 64'h0101010101010101 >> 56;
                endfunction
                assign count = ones(bits);
            end else begin : narrow
                assign count = $countones(bits);
            end
            /* verilator lint_on WIDTH */
`endif
        end
    endgenerate
endmodule

// Number of ones. Simulators know $countones better than any tree written out; synthesisers are given full adders on
// carry chains, because the look-up table of such an adder has inputs left for the gates that make a bit.
module spinbnn_popcount #(
    parameter WIDTH = 64,
    parameter COUNT_BITS = 7
) (
    input  wire [WIDTH-1:0]      bits,
    output wire [COUNT_BITS-1:0] count
);
`ifdef SYNTHESIS
    localparam LEVELS = $clog2(WIDTH + 2) - 2;
    localparam TREE = (2 << LEVELS) - 1;  // bits of the largest tree whose adders all have three inputs
    localparam REST = WIDTH - TREE;
    localparam REST_BITS = $clog2(REST + 1);
    genvar level, i;
    generate
        if (REST > 0) begin : split
            wire [LEVELS:0]      most;
            wire [REST_BITS-1:0] rest;
            spinbnn_popcount #(.WIDTH(TREE), .COUNT_BITS(LEVELS + 1))
                lower (.bits(bits[TREE-1:0]), .count(most));
            spinbnn_popcount #(.WIDTH(REST), .COUNT_BITS(REST_BITS))
                upper (.bits(bits[WIDTH-1:TREE]), .count(rest));
            /* verilator lint_off WIDTHEXPAND */
            assign count = most + rest;
            /* verilator lint_on WIDTHEXPAND */
        end else begin : tree
            // Each adder takes two counts of the level below and a new bit. All adders of a level are one addition, with
            // a place below each that is 0 + 0 or 1 + 1: it takes the carry of the adder before, and carries a bit in.
            // That bit is one count's lowest, and the new bit has its place, where the table makes it.
            for (level = 0; level <= LEVELS; level = level + 1) begin : levels
                localparam ADDERS = 1 << (LEVELS - level);
                /* verilator lint_off UNUSEDSIGNAL */
                wire [ADDERS*(level+1):0] sums;  // the counts, and below them a place that nobody needs
                /* verilator lint_on UNUSEDSIGNAL */
                if (level == 0) begin : leaves
                    assign sums = {bits[TREE-1 -: ADDERS], 1'b0};
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
                    assign sums = a - ~b;
                end
            end
            assign count = levels[LEVELS].sums[COUNT_BITS:1];
        end
    endgenerate
`else
    /* verilator lint_off WIDTHTRUNC */
    assign count = $countones(bits);
    /* verilator lint_on WIDTHTRUNC */
`endif
endmodule

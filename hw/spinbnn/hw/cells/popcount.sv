// Number of ones. Simulators and synthesisers all know $countones better than any tree written out.
module spinbnn_popcount #(
    parameter WIDTH = 64,
    parameter COUNT_BITS = 7
) (
    input  wire [WIDTH-1:0]      bits,
    output wire [COUNT_BITS-1:0] count
);
    /* verilator lint_off WIDTHTRUNC */
    assign count = $countones(bits);
    /* verilator lint_on WIDTHTRUNC */
endmodule

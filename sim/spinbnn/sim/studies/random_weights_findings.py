from spinbnn.sim.studies.study import Findings
def findings(rows): return Findings("")

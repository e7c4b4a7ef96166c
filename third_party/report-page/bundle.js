// What the page uses of its libraries, as the one global `vendor`.
import uPlot from "uplot";
import flamegraph from "d3-flame-graph";
import { select } from "d3-selection";

window.vendor = { uPlot, flamegraph, select };

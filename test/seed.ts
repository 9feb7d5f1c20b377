// Gives every property test the same seed, so that a run can be had again; a test may name its own. Depends on fast-check.
import fc from "fast-check";

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: 20_261_124 });

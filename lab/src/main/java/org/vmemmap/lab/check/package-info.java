// SPDX-License-Identifier: GPL-2.0-only
/**
 * The checkers: rules by name, the sweep over failing allocations, random worlds.
 *
 * <p>Idea: nobody says where a bug may be. A scenario is run again and again with another step
 * failing each time, or a machine and what is done to it are drawn from a seed, and rules that must
 * hold on any machine at rest decide.
 *
 * <p>Mechanism: a {@link org.vmemmap.lab.check.Trial} boots one machine with the machine's hooks set
 * before the first allocation, runs the steps of a {@link org.vmemmap.lab.check.Scenario} and turns
 * what went wrong into a {@link org.vmemmap.lab.check.Deviation}. Everything is deterministic, so a
 * run that deviates is run once more with a {@link org.vmemmap.lab.check.Tracer}.
 */
@NullMarked
package org.vmemmap.lab.check;

import org.jspecify.annotations.NullMarked;

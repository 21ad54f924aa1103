// SPDX-License-Identifier: GPL-2.0-only
/**
 * The race checker: several CPUs on one machine, and every order of their steps up to a bound.
 *
 * <p>Idea: a race is a bug that needs an order. So the order is not left to chance: one CPU runs at a
 * time, and at each step that others could notice a {@link org.vmemmap.lab.check.races.Strategy}
 * says who is next. The same schedule gives the same run.
 *
 * <p>Mechanism: the {@link org.vmemmap.lab.check.races.Scheduler} listens to the machine's yield
 * points and hands a baton from thread to thread; locks make a CPU wait. The {@link
 * org.vmemmap.lab.check.races.Explorer} runs a {@link org.vmemmap.lab.check.races.RaceScenario} again
 * and again: all schedules with at most so many switches that were not forced, then seeded random
 * priorities. {@link org.vmemmap.lab.check.races.Sharing} keeps the number small: what only one CPU
 * touches, or all touch under the same lock, is no place for a switch. With store buffers a switch
 * also decides which stores of the CPU that stops are seen.
 */
@NullMarked
package org.vmemmap.lab.check.races;

import org.jspecify.annotations.NullMarked;

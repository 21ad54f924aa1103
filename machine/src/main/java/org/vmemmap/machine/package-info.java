// SPDX-License-Identifier: GPL-2.0-only
/**
 * Simulated hardware: physical frames that hold bytes, page tables that live in those frames, a
 * memory-management unit that walks them, and one translation cache per CPU.
 *
 * <p>The idea: code that runs on this machine can only do what it could do on a real one. It reads
 * and writes words at virtual addresses; the {@link org.vmemmap.machine.Cpu} translates each of
 * them through the page tables that the code itself built. So one frame mapped behind many
 * addresses is really shared, a write to a read-only mapping really faults, and a translation that
 * nobody flushed really stays. A CPU that has no tree asks {@link
 * org.vmemmap.machine.BoltedMappings} instead.
 *
 * <p>The package knows no kernel. Who owns a frame, which allocation may fail and where another CPU
 * may run are asked through {@link org.vmemmap.machine.Ledger}, {@link
 * org.vmemmap.machine.FaultInjection} and {@link org.vmemmap.machine.YieldPoints}.
 */
@NullMarked
package org.vmemmap.machine;

import org.jspecify.annotations.NullMarked;

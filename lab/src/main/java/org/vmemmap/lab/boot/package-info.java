// SPDX-License-Identifier: GPL-2.0-only
/**
 * A machine that boots.
 *
 * <p>Idea: what an admin gives a kernel (a memory map, nodes, a command line) is a {@link
 * org.vmemmap.lab.boot.MachineSpec}; what comes out is a {@link org.vmemmap.lab.boot.LabKernel}
 * that takes writes below /proc and /sys and answers reads there.
 *
 * <p>Mechanism: {@link org.vmemmap.lab.boot.MachineSpecs} makes specs from sizes, from files in
 * kernel words, from case files and from a Linux host; memory-map parameters ({@code mem=}, {@code
 * memmap=}) are applied there. {@code LabKernel.boot} then makes the calls of {@code setup_arch()}
 * and {@code start_kernel()} in their order, as far as they concern the memmap.
 */
@NullMarked
package org.vmemmap.lab.boot;

import org.jspecify.annotations.NullMarked;

// SPDX-License-Identifier: GPL-2.0-only
/**
 * What the model costs, measured with JMH on booted machines.
 *
 * <p>The idea: the yardstick is the real kernel, which optimises the memmap of a 2 MiB hugepage in
 * about 6.5 µs and restores it in about 8.5 µs. Each benchmark does what the kernel does, through
 * page tables and translation caches, on a machine of the lab.
 */
@NullMarked
package org.vmemmap.benchmarks;

import org.jspecify.annotations.NullMarked;

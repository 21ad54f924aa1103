// SPDX-License-Identifier: GPL-2.0-only
/**
 * What a user reads after a boot.
 *
 * <p>Idea: one {@link org.vmemmap.lab.report.BootReport} is gathered from the machine, and {@link
 * org.vmemmap.lab.report.TextReport} and {@link org.vmemmap.lab.report.JsonReport} print the same
 * facts. Frames and page tables are counted by walking the page tables, never by formula.
 *
 * <p>Mechanism: a {@link org.vmemmap.lab.report.MemmapSnapshot} keeps all leaves of the memmap as
 * they were before HugeTLB touched them; {@link org.vmemmap.lab.report.MemmapPicture} draws one
 * range before and after.
 */
@NullMarked
package org.vmemmap.lab.report;

import org.jspecify.annotations.NullMarked;

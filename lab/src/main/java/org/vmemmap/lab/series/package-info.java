// SPDX-License-Identifier: GPL-2.0-only
/**
 * The patch series as a catalogue: what each patch is for, where it touches the kernel and the
 * port, and what can be seen of it. The questions that the code asks are in {@link
 * org.vmemmap.types.Series}.
 */
@NullMarked
package org.vmemmap.lab.series;

import org.jspecify.annotations.NullMarked;

// SPDX-License-Identifier: GPL-2.0-only
/** For each behavioural patch: the kernel without it beside the kernel with it. */
@NullMarked
package org.vmemmap.lab.series;

import org.jspecify.annotations.NullMarked;

// SPDX-License-Identifier: GPL-2.0-only
/** The checkers: each must find what is planted and nothing else. */
@NullMarked
package org.vmemmap.lab.check;

import org.jspecify.annotations.NullMarked;

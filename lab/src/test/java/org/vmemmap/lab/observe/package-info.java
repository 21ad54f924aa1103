// SPDX-License-Identifier: GPL-2.0-only
/** Tests. */
@NullMarked
package org.vmemmap.lab.observe;

import org.jspecify.annotations.NullMarked;

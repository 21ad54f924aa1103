// SPDX-License-Identifier: GPL-2.0-only
/** Tests. */
@NullMarked
package org.vmemmap.lab.cases;

import org.jspecify.annotations.NullMarked;

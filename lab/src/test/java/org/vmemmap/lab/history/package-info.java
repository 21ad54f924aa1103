// SPDX-License-Identifier: GPL-2.0-only
/**
 * Bugs that the kernel had: each is put back into the port, and the checkers look for it, with
 * scenarios that were there before.
 */
@NullMarked
package org.vmemmap.lab.history;

import org.jspecify.annotations.NullMarked;

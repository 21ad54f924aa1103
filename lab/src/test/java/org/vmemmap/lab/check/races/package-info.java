// SPDX-License-Identifier: GPL-2.0-only
/** The race checker: what holds in every order, and what must not. */
@NullMarked
package org.vmemmap.lab.check.races;

import org.jspecify.annotations.NullMarked;

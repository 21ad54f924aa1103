// SPDX-License-Identifier: GPL-2.0-only
/** Tests of whole machines whose memory comes and goes. */
@NullMarked
package org.vmemmap.lab.hotplug;

import org.jspecify.annotations.NullMarked;

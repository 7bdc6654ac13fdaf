"""Pipeline schedules: published rules as orders, their timeline by events, closed forms for speed."""

from .events import Bar as Bar
from .events import Timeline as Timeline
from .events import Times as Times
from .events import timeline as timeline
from .forms import dualpipe_seconds as dualpipe_seconds
from .forms import gpipe_seconds as gpipe_seconds
from .forms import interleaved_seconds as interleaved_seconds
from .forms import one_f_one_b_seconds as one_f_one_b_seconds
from .forms import pipeline_seconds as pipeline_seconds
from .forms import zero_bubble_seconds as zero_bubble_seconds
from .forms import zero_bubble_v_seconds as zero_bubble_v_seconds
from .orders import Order as Order
from .orders import Pass as Pass
from .orders import Schedule as Schedule
from .orders import check_schedule as check_schedule
from .orders import order as order
from .stages import stages_of as stages_of
from .uneven import busy_seconds as busy_seconds
from .uneven import slot_counts as slot_counts
from .uneven import uneven_seconds as uneven_seconds
from .waiting import pipeline_timeline as pipeline_timeline
from .waiting import times_by_stage as times_by_stage
from .waiting import waiting_seconds as waiting_seconds

"""Icons for the data pack: emoji, signs of line icons, and flags, each kind in sets of different hands.

Sets come from npm's `@iconify-json/*` packages (one JSON of SVG bodies each) and are drawn once, by the browser of
`sources/browser.py`, as atlases of 64-pixel tiles. Every set belongs to one split, so a score on `test` says whether a cat is known
that somebody else drew. Many sets are for training, since two of a kind are learnt by heart; these may lack names,
those of val and test have all.
"""

import io
import json
import re
import tarfile
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

SIDE = 64  # pixels of a tile
COLUMNS = 16  # tiles in a row of an atlas
QUALITY = 74  # of WebP, for sets in colours that are for training

# name=slug, where the slug is not the name with hyphens; slugs with / are tried in turn, for sets call signs differently
THINGS = """
cat, dog, rabbit, fox, bear, panda, koala, tiger, lion, cow, pig, frog, monkey, chicken, penguin, bird, duck, owl, wolf, horse, unicorn,
bee=honeybee, butterfly, snail, ladybug=lady-beetle, ant, spider, turtle, snake, octopus, crab, fish, dolphin, whale=spouting-whale,
shark, crocodile, elephant, camel=two-hump-camel, giraffe, sheep=ewe, goat, deer, bat, hedgehog, squirrel=chipmunk, parrot, swan,
flamingo, peacock, kangaroo, zebra, gorilla, scorpion, lobster, shrimp, dinosaur=sauropod, dragon, apple=red-apple, pear,
orange=tangerine, lemon, banana, watermelon, grapes, strawberry, cherries, peach, pineapple, coconut, tomato, eggplant, carrot,
corn=ear-of-corn, mushroom, bread, cheese=cheese-wedge, pizza, hamburger, fries=french-fries, hot dog, sandwich, taco, egg, cookie,
cake=birthday-cake, ice cream, doughnut, chocolate=chocolate-bar, candy, honey pot, coffee=hot-beverage, beer=beer-mug, wine glass,
milk=glass-of-milk, avocado, broccoli, potato, garlic, onion, chili pepper=hot-pepper, croissant, pretzel, popcorn, sushi, lollipop,
cupcake, teapot, tree=deciduous-tree, cactus, palm tree, rose, sunflower, tulip, maple leaf, clover=four-leaf-clover, house,
car=automobile, bus, truck=delivery-truck, tractor, bicycle, motorcycle, train=locomotive, airplane, helicopter, rocket, ship, sailboat,
anchor, traffic light=vertical-traffic-light, tent, castle, church, hospital, school, factory, fountain, ambulance, fire engine,
scooter=kick-scooter, watch, phone=mobile-phone, laptop, computer=desktop-computer, keyboard, printer, camera, television, radio,
microphone, headphones=headphone, telephone, battery, plug=electric-plug, light bulb, flashlight, candle, open book, newspaper,
envelope, package, pencil, pen, paintbrush, crayon, scissors, paperclip, pushpin, ruler=straight-ruler, lock=locked, key, hammer, axe,
wrench, screwdriver, gear, magnet, ladder, microscope, telescope, syringe, pill, bed, chair, couch=couch-and-lamp, door, toilet,
bathtub, broom, basket, bell, trophy, soccer ball, basketball, football=american-football, tennis ball=tennis, baseball, guitar, violin,
drum, trumpet, piano=musical-keyboard, saxophone, dice=game-die, puzzle piece, teddy bear, kite, balloon, gift=wrapped-gift, crown,
glasses, hat=top-hat, shirt=t-shirt, jeans, dress, socks, shoe=running-shoe, boot=womans-boot, handbag, backpack, umbrella, ring,
diamond=gem-stone, money bag, credit card, coin, shopping cart, calendar, alarm clock, hourglass=hourglass-done, compass,
globe=globe-showing-europe-africa, world map, volcano, fire, drop=droplet, rainbow, snowflake, snowman=snowman-without-snow, cloud,
lightning=high-voltage, sun, moon=crescent-moon, star, heart=red-heart, skull, ghost, robot, alien, eye, ear, brain, bone, tooth,
magnifying glass=magnifying-glass-tilted-left, trash can=wastebasket, folder=file-folder, clipboard, bar chart, warning sign=warning,
check mark=check-mark-button, cross mark, question mark=red-question-mark, exclamation mark=red-exclamation-mark, stop sign, recycling
symbol, smiling face=grinning-face, crying face, angry face, sleeping face, face with sunglasses=smiling-face-with-sunglasses, thumbs
up, thumbs down, flexed arm=flexed-biceps, waving hand, baby, bow and arrow, dart board=bullseye, boxing glove, skateboard, canoe,
satellite, flying saucer, shield, sword=dagger, bomb, thermometer, safety pin, yarn, lipstick, toothbrush, fork and knife, spoon,
chopsticks, feather, spider web, paw prints
"""
SIGNS = """
home=home/house, search=search/magnifying-glass/magnify, settings=settings/gear/cog, trash=trash/delete, user=user/account,
mail=mail/envelope/email, lock, unlock=lock-open/lock-open-outline, key, camera, printer, download=download/download-simple,
upload=upload/upload-simple, heart, star, bell, calendar, clock=clock/clock-outline, phone, cloud, sun=sun/white-balance-sunny,
moon=moon/moon-waning-crescent, umbrella, book, bookmark, folder, file, image=image/photo, music=music/music-notes,
video=video-camera/video, microphone=microphone/mic, play, pause, skip forward=skip-forward/player-skip-forward,
volume=volume-2/volume/speaker-high/volume-high, mute=volume-x/volume-3/speaker-x/volume-off, wifi=wifi/wifi-high, bluetooth,
battery=battery/battery-2/battery-medium/battery-full/battery-50, plug=plug/power-plug, light bulb=lightbulb/bulb, flag, gift, tag,
shopping cart=shopping-cart/cart, shopping bag=shopping-bag/bag/handbag/shopping, credit card, wallet, bar
chart=chart-bar/chart-column/bar-chart-3, pie chart=chart-pie/pie-chart/chart-pie-outline, list=list-bullets/list/format-list-bulleted,
menu=menu-2/menu/list, filter=filter/funnel, plus, minus, check=check/check-bold, close=x/close, arrow left, arrow right, arrow up,
arrow down, refresh=refresh-cw/refresh/arrows-clockwise, undo=undo/arrow-back-up/arrow-u-up-left,
redo=redo/arrow-forward-up/arrow-u-up-right, copy=copy/content-copy, cut=scissors/content-cut, edit=edit/pencil, eraser, ruler,
save=save/device-floppy/floppy-disk/content-save, share=share-2/share/share-network/share-variant, link, paperclip,
send=send/paper-plane-tilt, message=message-square/message/chat, globe=globe/world/web, map=map/map-trifold, map pin=map-pin/map-marker,
compass, car, bus, train, airplane=plane/airplane, bicycle=bike/bicycle, truck, ship=ship/boat/ferry, rocket, anchor, coffee, pizza,
cherry=cherry/cherries/orange/fruit-cherries, carrot, cake, fish, cat, dog, bug, leaf, flower,
snowflake, drop=droplet/drop/water, fire=flame/fire, lightning=zap/lightning-bolt/bolt/lightning, wind=wind/weather-windy,
rain=cloud-rain/weather-pouring, mountain=mountain/mountains/image-filter-hdr, tent, bed, chair=armchair/armchair/chair,
bath=bath/bathtub, door=door-open/door, television=television-classic/tv/device-tv/television,
monitor=monitor/device-desktop, laptop=laptop/device-laptop,
tablet=tablet/device-tablet/device-tablet, keyboard, computer mouse=mouse/mouse-simple, headphones,
speaker=speaker/device-speaker/speaker-hifi, gamepad=gamepad-2/device-gamepad/game-controller/gamepad-variant, database,
server=server/hard-drives, code=code/code-tags, terminal=terminal/console, puzzle piece=puzzle/puzzle-piece, shield, eye, thumbs
up=thumbs-up/thumb-up, thumbs down=thumbs-down/thumb-down, smiling face=smile/mood-smile/smiley/emoticon-happy-outline, trophy, crown,
diamond=gem/sketch-logo/diamond/diamond-stone, target, magnet, hammer, wrench=wrench/tool, syringe=syringe/vaccine/needle,
pill=pill/pill, thermometer, skull, ghost, robot=bot/robot, alarm clock=alarm-clock/alarm, hourglass, calculator, clipboard,
newspaper=newspaper/news, briefcase, building, factory=factory/building-factory-2, church=church/building-church,
bank=landmark/building-bank/bank, store=store/building-store/storefront, fingerprint=fingerprint/fingerprint-pattern, barcode, ticket,
piano=piano/piano/piano-keys, bone, egg, ice cream=ice-cream-cone/ice-cream,
beer=beer/beer-stein, wine glass=glass-wine/wine/glass-full, cookie,
warning=triangle-alert/alert-triangle/warning/alert-outline, info=info/info-circle/information, question
mark=circle-help/circle-question-mark/help-circle/help/question, power, log out=log-out/logout/sign-out, zoom
in=zoom-in/magnifying-glass-plus/magnify-plus, zoom out=zoom-out/magnifying-glass-minus/magnify-minus, crop,
layers=layers/stack/stack-2, palette, translate=languages/language/translate, ear=ear/ear-hearing, glasses=glasses/eyeglass/eyeglasses,
shirt=shirt/t-shirt/tshirt-crew, watch=watch/device-watch, backpack=backpack/backpack/bag-personal,
suitcase=luggage/suitcase/bag-suitcase, fuel pump=gas-station/fuel/gas-pump,
wheelchair=wheelchair-accessibility/wheelchair/accessibility, feather, infinity,
percent=percent/percentage, atom, flask=flask-conical/flask, microscope, inbox=inbox/tray,
archive, pin=pin/pinned/push-pin, more=ellipsis/dots/dots-three/dots-horizontal, parking=circle-parking/parking/letter-circle-p,
sofa=sofa/couch, lamp
"""
# What training sets call them where they do not call them as above.
MORE_THINGS = """
rabbit=bunny, panda=pandaface, wolf=wolfface, dragon=dragonhead, sheep=sheep/ram, corn=earofmaize, camel=bactriancamel/camel,
whale=spurtingwhale, truck=deliverytruck, ladybug=ladybeetle, apple=redapple, hot dog=hotdog, fries=frenchfries, honey pot=honeypot,
coffee=hotbeverage, beer=beermug, wine glass=wineglass/red-wine-glass, tree=deciduoustree, clover=fourleafclover,
house=housebuilding/house-with-garden, train=steamlocomotive, ice cream=icecream/soft-ice-cream, phone=cellphone,
computer=oldpersonalcomputer, telephone=blacktelephone, plug=electricplug, light bulb=lightbulb, flashlight=electrictorch, open
book=openbook, paintbrush=lowerleftpaintbrush, pen=lowerleftfountainpen/fountain-pen, crayon=lowerleftcrayon, scissors=blackscissors,
pencil=lowerleftpencil, ruler=straightruler, eggplant=aubergine, soccer ball=soccerball, football=americanfootball, tennis
ball=tennisball, piano=musicalkeyboard, dice=gamedie/game-dice, gift=present, hat=tophat, shirt=t-shirt/tshirt, shoe=runningshoe,
diamond=gem, money bag=moneybag, credit card=creditcard, alarm clock=alarmclock, hourglass=hourglassflowingsand,
globe=europeafricaglobe, world map=worldmap, moon=crescentmoon, heart=redheart/blackheartsuit/heart-suit, magnifying
glass=leftmagnifyingglass, folder=filefolder, bar chart=barchart, warning sign=warningsign, cross mark=crossmark, recycling
symbol=blackuniversalrecyclingsymbol, thumbs up=thumbsup, thumbs down=thumbsdown, flexed arm=flexbicep, paw prints=pawprints, spider
web=spiderweb, fork and knife=forkandknife, palm tree=palmtree, maple leaf=mapleleaf, fire engine=fireengine, castle=europeancastle,
traffic light=verticaltrafficlight, sleeping face=sleeping, crying face=crying, angry face=angry, dart board=directhit/direct-hit,
satellite=satelliteantenna, sun=whitesun/sunrays, lightning=high-voltage, star=whitemediumstar, snowman=snowmanwithoutsnow/snowman,
backpack=schoolsatchel/school-backpack, pizza=sliceofpizza, chicken=rooster, lion=lion-face, bear=bear-face, fox=fox-face,
unicorn=unicorn-face, robot=robot-face, parrot=parrot-head, coconut=coconuts, flying saucer=unidentified-flying-object,
dinosaur=dinosaur-rex
"""
MORE_SIGNS = """
home=home-2/home-1/home-4/home-simple/house-line/house-chimney, search=search-1/magnifer/magnifying-glass/search-2,
settings=cog-6-tooth/gear-wide/gear/cog/setting/settings-1/setting-1/cog-1,
trash=trash-can/trash-2/delete-bin/delete/trash-bin-trash/trash-alt/delete-2/bin,
user=person/user-1/user-alt/profile/account/user-circle, mail=mail-01/envelope/email/letter/mail-outlined/message,
lock=lock-closed/locked/lock-keyhole/lock-1/lock-alt/lock-on,
unlock=lock-open/lock-unlocked/unlocked/lock-keyhole-unlocked/lock-unlock/lock-open-alt/lock-open-alt-1,
key=key-alt/vpn-key/key-2/key-1/key-minimalistic, camera=photo-camera/camera-alt/camera-1/camera-2/a-camera,
printer=print/local-printshop,
download=arrow-down-tray/cloud-download-alt/arrow-download/download-2/download-1/import/download-minimalistic/file-download,
upload=arrow-up-tray/arrow-upload/upload-2/upload-1/export/upload-minimalistic/import, heart=favorite/favourite/like/heart-alt,
star=star-1/grade, bell=notifications/notification/notification-3/alert/bell-1,
calendar=calendar-today/calendar-blank/calendar-1/calendar-alt/calendar-dates/date-range/calendar-ltr,
clock=time/schedule/clock-circle/clock-1/clock-3/time-five/clock-time-four/history-toggle,
phone=call/telephone/phone-alt/phone-call/local-phone/phone-1/phone-rounded/phone-telephone, cloud=cloudy/cloud-1/clouds,
sun=sunny/sun-1/sun-2/weather-sunny/brightness-high, moon=moon-1/weather-moon/clear-night/moonlight/dark-mode/crescent-moon,
umbrella=umbrella-1/umbrella-2/beach-access, book=book-open/book-2/book-1/book-closed/notebook-bookmark/book-alt/menu-book,
bookmark=bookmark-1/bookmarks-simple, folder=folder-1/folder-close/folder-2,
file=document/file-1/file-blank/file-text/document-text/description/file-alt/file-empty/draft,
image=picture/photo/image-1/pic/insert-photo/gallery/landscape,
music=music-note/music-2/music-notes/music-note-2/musical-notes/musical-note/music-one/audiotrack/music-note-beamed/music-rhythm,
video=videocam/video-camera/camera-video/video-camera-alt/video-1/video-camera-1/vidicon,
microphone=mic/microphone-1/microphone-2/microphone-alt/voice/mic-none,
play=play-arrow/play-circle/play-1/play-fill/video-play/caret-right/play-button-o,
pause=pause-circle/pause-1/video-pause/pause-fill/pause-one, skip
forward=skip-next/skip-end/play-skip-forward/next/forward-step/skip-forward-1/step-forward/play-track-next/go-end/track-next,
volume=volume-up/volume-high/sound/volume-loud/speaker-2/volume-1/volume-max/volume-full/volume-notice,
mute=volume-off/volume-mute/volume-xmark/speaker-off/speaker-mute/sound-off/volume-cross/volume-slash/muted/speaker-x-mark/volume-up-off,
wifi=wifi-1/wi-fi/wifi-router/wifi-high/wifi-fill, bluetooth=bluetooth-1/bluetooth-on,
battery=battery-half/battery-full/battery-horiz-050/battery-5/battery-2/battery-charge-2/battery-1/battery-50/battery-full-minimalistic/battery-working-one/battery-three-quarters/battery-4/battery-75,
plug=power-plug/plug-connected/plug-2/electrical-services/plug-alt/plug-one/outlet-plug/power-cord, light
bulb=light-bulb/lightbulb-alt/lightbulb-minimalistic/bulb/idea/tips/lamp-on/bulb-outline/lightbulb-2/light-mode-bulb,
flag=flag-1/flag-2/flag-3/report-flag,
gift=gift-1/gift-2/card-giftcard/present/gift-card/redeem/gift-box/featured-seasonal-and-gifts/box-gift,
tag=price-tag/pricetag/label/local-offer/tag-1/sell/tag-2/price-tag-3/price-tag-2, shopping
cart=shopping-cart-1/shopping-cart-2/cart-large/shopping-cart-simple/cart-1/basket-cart, shopping
bag=bag/shopping-bag-1/shopping-bag-3/bag-1/bag-handle/local-mall/handbag/shopping-bag-2/bag-2/bag-shopping, credit
card=card/payment/bank-card/credit-card-1/creditcard/credit-card-front/bankcard/credit-card-2-front/creditcard-1/payment-card,
wallet=wallet-1/wallet-2/account-balance-wallet/wallet-3/wallet-alt, bar
chart=bar-chart-2/chart-simple/bar-chart-alt/chart/chart-column/chart-bar-1/stats-chart/bar-chart-1/chart-2/data-histogram/chart-histogram/data-bar-vertical/bar-chart-line/chart-histogram-one/graph-bar/chart-vertical/chart-square,
pie chart=chart-pie-1/pie-chart-2/chart-pie-alt/data-pie/pie-chart-1/pie-chart-fill/pie/chart-pie-2/graph-pie,
list=list-ul/list-unordered/list-ul-1/list-bulleted/unordered-list/text-bullet-list/list-bullet/list-check-3/list-two/list-unordered-4/list-1,
menu=bars/menu-1/bars-3/hamburger-menu/three-bars/menu-fill/hamburger-button/menu-alt-1, filter=filter-alt/funnel-1/filter-1/filter-2,
plus=add/add-large/plus-lg/plus-large/add-1/plus-1, minus=remove/dash/dash-lg/minus-1/minus-large,
check=checkmark/check-lg/done/tick/check-1/check-2/check-big/check-small/select,
close=x-lg/xmark/times/cross/cancel/dismiss/x-mark/x-1/close-1/close-small/close-large/multiply, arrow
left=left-arrow/arrow-left-1/arrow-back/left/arrow-left-long/arrow-left-fill, arrow
right=right-arrow/arrow-right-1/arrow-forward/right/arrow-right-long, arrow up=up-arrow/arrow-up-1/arrow-upward/up/arrow-up-long, arrow
down=down-arrow/arrow-down-1/arrow-downward/down/arrow-down-long,
refresh=arrow-clockwise/arrow-path/refresh-1/refresh-2/rotate-right/reload/sync/redo-alt/renew/rotate/arrow-rotate-right/refresh-01/refresh-cw-01,
undo=arrow-go-back/arrow-undo/arrow-uturn-left/rotate-left/corner-up-left/undo-left/arrow-counterclockwise/reply/return/back/undo-1,
redo=arrow-go-forward/arrow-redo/arrow-uturn-right/undo-right/corner-up-right/redo-1,
copy=copy-1/content-copy/files/file-copy/document-duplicate/document-copy/copy-document/copy-2/duplicate,
cut=scissors/cut-1/scissor/scissors-cutting/content-cut/scissors-1/tailoring,
edit=pencil/pen/edit-2/edit-1/pencil-alt/pencil-line/pen-2/edit-alt/pencil-1/edit-pencil/write/edit-box,
eraser=ink-eraser/eraser-1/erase/clear-eraser/eraser-2, ruler=ruler-1/straighten/ruler-alt/ruler-2/design-ruler/ruler-combined,
save=floppy-disk/floppy/device-floppy/diskette/save-1/floppy-disk-alt/save-2/disk,
share=share-1/share-social/share-nodes/share-alt/share-3/share-android/share-2/share-forward/share-network,
link=link-1/link-alt/link-2/link-45deg/link-simple/link-horizontal/insert-link/link-m/link-round,
paperclip=attachment/attach/attach-file/paper-clip/attachment-2/clip/attach-2/attachment-1,
send=paper-plane/send-plane/paper-airplane/send-1/send-alt/send-plane-2/plain/send-2,
message=chat/message-1/message-3/chat-bubble/comment/message-2/chat-round/chatbubble/message-square/chat-left/comment-alt/chat-1/message-text/bubble-chat/chat-bubble-outline/chatbox,
globe=earth/public/globe-1/world/globe-2/globe-alt/internet/planet-earth, map=map-1/map-alt/map-2/map-trifold, map
pin=location/location-pin/geo-alt/location-on/pin/marker/map-marker/map-pin-2/location-dot/map-marker-alt/map-point/position/location-1/local/pin-alt/location-filled,
compass=compass-1/explore/compass-3/compass-2/compass-alt/compass-calibration/compass-one,
car=car-1/directions-car/car-front/vehicle-car/car-side/car-3, bus=bus-1/directions-bus/bus-front/vehicle-bus/bus-alt/bus-2,
train=train-1/train-front/vehicle-subway/train-alt/train-2/metro/subway/train-profile,
airplane=plane/airplanemode-active/flight/plane-1/airplane-1/plane-alt/plane-2/flight-takeoff/vehicle-airplane/aircraft,
bicycle=bike/pedal-bike/bicycling/directions-bike/bicycle-1/riding,
truck=local-shipping/delivery/truck-1/vehicle-truck-profile/truck-front/delivery-truck/truck-2/shipping-fast/vehicle-truck,
ship=boat/directions-boat/ferry/ship-1/vehicle-ship/ship-2/sailboat/sail-boat,
rocket=rocket-launch/rocket-1/rocket-2/rocket-takeoff/rocket-1, anchor=anchor-1/anchor-2,
coffee=cup-hot/mug-hot/local-cafe/cup/cafe/drink-coffee/coffee-1/cup-1/mug-saucer/tea-cup/coffee-cup/teacup/tea,
pizza=pizza-slice/local-pizza/food-pizza/pizza-1/pizza-2, cherry=cherries/cherry-1/fruit-cherry, carrot=carrot-1/food-carrot,
cake=cake-1/birthday-cake/cake-candles/food-cake/cake-2/cake-3/cake-five, fish=fish-1/fish-simple/food-fish/fish-one, cat=cat-1,
dog=dog-1/animal-dog, bug=bug-1/bug-report/bug-2/bug-beetle,
leaf=eco/leaf-1/leaf-2/leaves/energy-savings-leaf/plant-leaf/nutrition-leaf,
flower=flower-1/local-florist/flower-2/flower-3/flower-4/flower1/filter-vintage,
snowflake=snow/ac-unit/mode-cool/snowflake-1/weather-snowflake/snowflakes,
drop=water-drop/droplet/tint/raindrop/humidity/drop-1/drop-2/opacity/waterdrop,
fire=flame/fire-1/local-fire-department/fire-flame-curved/flame-1,
lightning=bolt/flash/lightning-charge/thunderbolt/energy/flash-1/flash-2/flash-on/electric-bolt/lightning-1,
wind=air/weather-squalls/wind-1/windy/weather-wind/fast-wind,
rain=rainy/cloud-showers-heavy/weather-rain/cloud-rain-1/rain-1/heavy-showers/rain-heavy/showers/rainy-outline/cloud-showers/umbrella-rain,
mountain=mountains/mountain-1/mountain-2/filter-hdr/landscape-mountain/terrain, tent=camping/tent-1/campground/camping-tent/cabin-tent,
bed=bed-1/bed-2/hotel-bed/bed-alt/single-bed/king-bed/bed-single,
chair=armchair/chair-1/chair-2/armchair-2/chair-alt/seat/couch-single/event-seat/office-chair,
bath=bathtub/bathtub-1/bath-1/bath-2/bathroom, door=door-open/door-front/door-closed/meeting-room/door-1/door-2,
television=tv/tv-1/tv-2/monitor-tv/television-1/tv-retro/tv-alt/tv-old,
monitor=desktop/display/computer/screen/monitor-1/desktop-mac/desktop-windows/monitor-alt/desktop-2,
laptop=laptop-1/laptop-2/laptop-mac/laptop-computer/laptop-minimalistic/laptop-one,
tablet=tablet-1/tablet-mac/tablet-android/tablet-portrait/device-tablet/tablet-alt/tablet-screen-button/pad/tablet-2,
keyboard=keyboard-1/keyboard-alt/keyboard-2/keyboard-one, computer
mouse=mouse/computer-mouse/mouse-1/mouse-alt/mouse-minimalistic/mouse-2/mouse-one,
headphones=headphones-1/headset/headphone/headphones-alt/headphones-round/earphone/headphone-sound/headphones-square/headset-one,
speaker=speaker-1/speaker-2-1/speaker-group/loudspeaker/boombox/speaker-3/speaker-minimalistic/speaker-one,
gamepad=game-controller/controller/sports-esports/joystick/gamepad-1/games/xbox-controller/game-pad/game-2/gamepad-alt/game/gamepad-minimalistic/videogame-asset/game-handle,
database=data/data-base/database-1/storage/circle-stack/database-2/data-1,
server=servers/server-1/dns/hdd-stack/hard-drive/server-2/storage-server/hdd-rack,
code=code-slash/brackets/code-1/code-alt/angle-brackets/code-bracket/code-xml/code-tags/embed/coding,
terminal=command-line/terminal-box/console/terminal-1/window-console/terminal-window/square-terminal/window-terminal/terminal-2/code-terminal,
puzzle piece=puzzle/extension/puzzle-1/puzzle-2/plugin-2/puzzle-piece-1,
shield=shield-1/security/shield-alt/shield-sharp/shield-minimalistic, eye=visibility/view/eye-1/eye-alt/eyes/view-visible/preview-open,
thumbs up=thumb-up/hand-thumbs-up/hand-thumb-up/like/thumbs-up-1/thumb-like/good/good-two/thumb-up-2/like-1, thumbs
down=thumb-down/hand-thumbs-down/hand-thumb-down/dislike/thumb-dislike/bad/bad-two/dislike-1/thumb-down-2, smiling
face=smile/emoji-smile/sentiment-satisfied/emotion-happy/face-smile/happy/emoji/smile-1/face-id-smile/smile-circle/emotion-smile/emotion/smiley/face-happy/smiling-face/emoji-happy/smiley-happy/grinning-face,
trophy=trophy-1/cup-star/emoji-events/trophy-star/award-trophy/trophy-cup/cup-first,
crown=crown-1/vip-crown/premium/crown-star/vip-1/crown-2/crown-3, diamond=gem/diamond-1/jewel/diamonds/gem-1/diamond-premium,
target=bullseye/crosshairs/bullseye-arrow/target-1/my-location/aim/target-4/focus/target-two/track-changes/target-center/targeting/circle-target,
magnet=magnet-1/magnet-straight, hammer=gavel/hammer-1/hammer-2/auction/hammer-and-anvil,
wrench=spanner/wrench-1/build/tool/tools/wrench-alt/wrench-2, syringe=vaccines/syringe-1/injection/needle,
pill=pills/capsule/medication/capsule-pill/pill-1/tablets/capsules,
thermometer=temperature/thermometer-half/device-thermostat/temperature-half/thermometer-1/temp-hot/temperature-1/thermometer-alt/thermometer-simple/thermometer-one,
skull=skull-1/skull-2/death-skull, ghost=ghost-1/ghost-smile/ghost-2,
robot=bot/smart-toy/robot-1/robot-2/robot-3/bot-1/chatbot/robot-head, alarm
clock=alarm/alarm-1/clock-alarm/alarm-clock-1/clock-alarm-1/alarm-2,
hourglass=hourglass-half/hourglass-1/hourglass-empty/hourglass-split/hourglass-end/sandglass/hourglass-line/hourglass-full,
calculator=calculate/calculator-1/calculator-simple/calculator-minimalistic/calculator-2,
clipboard=clipboard-1/assignment/content-paste/clipboard-text/paste/clipboard-list/clipboard-2,
newspaper=news/article/newspaper-1/newspaper-alt/blog-newspaper/newspaper-folding/document-news,
briefcase=work/bag-briefcase/business-center/portfolio/briefcase-1/toolbox-briefcase/suitcase-work/case-minimalistic/briefcase-2,
building=apartment/building-1/building-2/buildings/office-building/city/building-office/domain/enterprise/buildings-2/building-one/building-three/location-city/corporate-fare/building-4,
factory=industry/industry-alt/factory-1/building-factory/industry-1/industrial-building,
church=place-of-worship/church-1/building-church/church-one/religion-christianity,
bank=account-balance/building-columns/bank-1/building-bank/university/bank-2/landmark/building-library,
store=shop/storefront/store-1/store-2/shop-window/building-retail/building-shop/store-alt/building-store/store-3/shop-2,
fingerprint=fingerprint-1/finger-print/fingerprint-recognition/finger-scan/fingerprint-2,
barcode=upc-scan/barcode-1/barcode-scan/barcode-scanner/upc/bar-code/scan-barcode,
ticket=confirmation-number/ticket-1/local-activity/coupon/ticket-alt/ticket-perforated/coupon-2/ticket-2/ticket-diagonal/tickets,
piano=piano-1/midi/keyboard-music/piano-keys, bone=bone-1, egg=egg-1/egg-alt/eggs/egg-fried, ice
cream=ice-cream-1/icecream/ice-cream-2/food-ice-cream/ice-cream-cone/icecream-2/icecream-3,
beer=beer-mug-empty/sports-bar/beer-1/drink-beer/beer-mug/wine-beer/beer-2, wine
glass=wine-bar/wine/wineglass/wine-glass-empty/drink-wine/glass-alt/goblet/wine-glass-alt/wineglass-triangle/glass/glass-champagne/wine-alt,
cookie=cookie-1/cookie-bite/food-cookie/cookie-2/cookie-man,
warning=alert-triangle/exclamation-triangle/triangle-exclamation/warning-1/warning-triangle/alert/exclamation-triangle-1/danger-triangle/error-warning/triangle-warning/warning-alt/exclamation-diamond/triangle-alert,
info=info-circle/information-circle/circle-info/information/info-1/info-fill/information-line/info-empty/information-1, question
mark=question-circle/help-circle/circle-question/help/question/question-mark-circle/question-1/circle-help/help-1/chat-question/question-mark-1,
power=power-settings-new/power-off/power-1/shut-down/switch-off/poweroff/shutdown/power-standby/on-off/power-button, log
out=logout/sign-out/box-arrow-right/arrow-right-start-on-rectangle/log-out/exit/log-out-1/logout-box-r/sign-out-alt/arrow-exit/logout-1/right-from-bracket/sign-out-1/logout-2/exit-1,
zoom in=search-plus/magnifying-glass-plus/zoom-in-1/magnifer-zoom-in/zoom-plus/search-zoom-in, zoom
out=search-minus/magnifying-glass-minus/zoom-out-1/magnifer-zoom-out/zoom-minus/search-zoom-out,
crop=crop-simple/crop-1/crop-alt/tailor-crop/crop-2,
layers=layer/stack/layer-group/layers-1/layers-alt/square-stack-3d-up/rectangle-stack/layer-3/layers-fill/layers-minimalistic/layers-2/stack-3d/square-3-stack-3d,
palette=color-palette/color/palette-1/paint-palette/palette-2/color-filter-palette/bx-palette/platte/color-palette-fill,
translate=language/g-translate/translation/translate-2/translate-1/local-language/languages,
ear=hearing/ear-1/ear-listen/ear-2/ear-deaf/listen/hearing-ear,
glasses=eyeglasses/glasses-1/eye-glasses/eyeglasses-2/glasses-2/eyewear/three-d-glasses,
shirt=t-shirt/tshirt/shirt-1/t-shirt-1/checkroom-shirt/apparel/clothes/clothes-t-shirt/clothes-short-sleeve/skin,
watch=smartwatch/watch-1/watch-2/watch-round/watch-alt/watch-square/device-watch/square-watch,
backpack=backpack-1/bagpack/bag-backpack/school-bag/backpack-2,
suitcase=luggage/suitcase-1/luggage-1/suitcase-rolling/trolley-luggage/trunk/suitcase-2/suitcase-lines/luggage-alt/suitcase-tag/suitcase-alt/bag-suitcase/baggage-claim,
fuel pump=gas-pump/gas-station/fuel-pump/local-gas-station/fuel/charging-station-gas/petrol/gas-station-1/fuel-station,
wheelchair=accessible/wheelchair-1/accessible-icon/disabled/wheelchair-alt/accessibility-wheelchair/wheelchair-line/disability,
feather=feather-1/feather-alt/quill-pen/feather-pointed, infinity=all-inclusive/infinite/infinity-1/infinity-line,
percent=percentage/percentage-1/badge-percent/percent-1/percentage-circle/percentage-square/percent-alt,
atom=atom-1/react/atom-2/science-atom/atomic/experiment-atom/nuclear-atom,
flask=science/flask-1/experiment/beaker/conical-flask/lab/test-tube-flask/erlenmeyer-flask/flask-2/chemistry/laboratory-flask,
microscope=microscope-1/biotech/microscope-2, inbox=tray/inbox-1/all-inbox/inbox-in/move-to-inbox/inbox-line/mail-inbox,
archive=archive-1/box-archive/inventory-2/archive-box/archive-2/archive-drawer/box,
pin=push-pin/thumbtack/pushpin/pin-1/pin-angle/keep/thumb-tack/pin-2/thumbtacks,
more=dots-horizontal/three-dots/ellipsis-h/more-horizontal/more-horiz/ellipsis-horizontal/menu-dots/overflow-menu-horizontal/more-1/kebab-horizontal/more-2/menu-kebab/more-alt/dots/option-horizontal,
parking=local-parking/parking-box/square-parking/parking-circle/parking-1/p-square/vehicle-car-parking/letter-p-circle/parking-alt/parking-square,
sofa=couch/sofa-1/weekend/chair-sofa/living/sofa-2/sofa-3/living-room/couch-sofa,
lamp=table-lamp/lamp-1/desk-lamp/floor-lamp/lamp-floor/lightbulb-lamp/standing-lamp
"""
COUNTRIES = """
Germany=de, France=fr, Italy=it, Spain=es, Portugal=pt, United Kingdom=gb, Netherlands=nl, Belgium=be, Switzerland=ch,
Austria=at, Poland=pl, Czechia=cz, Hungary=hu, Romania=ro, Greece=gr, Turkey=tr, Ukraine=ua, Sweden=se, Norway=no, Denmark=dk,
Finland=fi, Iceland=is, Estonia=ee, Croatia=hr, United States=us, Canada=ca, Mexico=mx, Brazil=br, Chile=cl, Colombia=co,
Peru=pe, Cuba=cu, Jamaica=jm, Uruguay=uy, Panama=pa, China=cn, Japan=jp, South Korea=kr, India=in, Pakistan=pk, Bangladesh=bd, Nepal=np,
Thailand=th, Vietnam=vn, Malaysia=my, Singapore=sg, Philippines=ph, Israel=il, Saudi Arabia=sa, Qatar=qa, Kazakhstan=kz, Egypt=eg,
Morocco=ma, Algeria=dz, Nigeria=ng, Kenya=ke, Ethiopia=et, South Africa=za, Ghana=gh, Australia=au, New Zealand=nz
"""


# Looked at and found to show something else: the set, and the names in brackets.
MISTAKEN = """
akar-icons (credit card, diamond, video); ant-design-filled (clock, close, user); ant-design-outlined (building, clock, close, monitor,
refresh); basil (light bulb); bi (minus, mute, phone, redo, save); bi-fill (diamond, minus, mute, phone, redo, save); bx (arrow down,
arrow left, arrow right, arrow up, map); bxs (arrow down, arrow left, arrow right, arrow up, bar chart, map, redo); carbon (anchor,
clipboard, close, key, shopping bag, trash, warning); clarity (battery, volume); ep (arrow down, arrow left, arrow right, arrow up,
copy, list, menu, message, mute, question mark, redo, undo, warning, wrench); fa6-solid (map pin, menu); fa6-solid-things (phone);
flagpack (United Kingdom); fluent-filled (check, diamond, eye, gamepad, parking, phone, speaker, wheelchair); fluent-regular (check,
diamond, eye, gamepad, parking, phone, speaker, wheelchair); fxemoji (keyboard); game-icons (coconut, phone); gg (bar chart, camera,
gamepad, ghost, pin, puzzle piece, warning, wine glass); icon-park-outline (anchor, compass, drop, folder, gamepad, heart, keyboard,
lamp, map pin, monitor, phone, skip forward, tag, target, video, volume); icon-park-outline-things (anchor, apple, compass, folder,
football, heart, honey pot, key, keyboard, ring, spoon, telescope); icon-park-solid (anchor, compass, drop, folder, gamepad, keyboard,
lamp, map pin, monitor, phone, refresh, skip forward, tag, target, video, volume); iconoir (atom, close, power, translate, wheelchair);
ion-outline (wheelchair); ion-sharp (wheelchair); jam (backpack, gamepad, mountain, palette, phone, trophy, warning, wheelchair);
majesticons (download); majesticons-line (download); material-symbols-rounded (arrow left, arrow right, camera, drop, filter, pin,
power, tag, translate, wheelchair); material-symbols-sharp (arrow left, arrow right, camera, drop, filter, pin, power, tag, translate,
wheelchair); mdi-things (apple, chocolate, lightning, phone, satellite, school); mingcute-fill (chair, clock, crown, diamond, minus,
more, save, warning, wine glass); mingcute-line (chair, clock, crown, diamond, minus, more, save, warning, wine glass); mingcute-things
(apple, chicken, house, phone, skateboard, warning sign); mynaui (diamond); octicon (diamond, video, wheelchair); pixelarticons (key,
pin); ri-fill (bell, database, gamepad, more, video, wine glass); ri-line (bell, database, gamepad, more, video, wine glass); solar-bold
(airplane, battery, drop, map pin, question mark, shopping cart, translate, truck, wheelchair); solar-linear (airplane, battery, drop,
map pin, question mark, shopping cart, translate, truck, wheelchair); uil (close, diamond, drop, gamepad, message, wine glass)
"""


class Source(NamedTuple):
    """One set: the `@iconify-json` package, what it draws, its split, and how its slugs are spelled ({} stands for ours; {flat} is
    without hyphens; spellings are tried in turn). `style` tells two hands of a package apart; of a set of one `ink` only opacity counts."""

    package: str
    kind: str
    split: str
    spelling: str = "{}"
    style: str = ""
    ink: bool = False

    @property
    def name(self) -> str:
        return f"{self.package}-{self.style}" if self.style else self.package


def _signs(package: str, spelling: str = "{}", style: str = "") -> Source:
    return Source(package, "signs", "train", spelling, style, ink=True)


SOURCES = (
    Source("openmoji", "things", "train"),
    Source("noto", "things", "train"),
    Source("noto-v1", "things", "train"),
    Source("emojione", "things", "train"),
    Source("fxemoji", "things", "train", "{} {flat}"),
    Source("streamline-emojis", "things", "train", "{} {}-1"),
    Source("emojione-monotone", "things", "train", ink=True),
    Source("game-icons", "things", "train", ink=True),
    Source("icon-park-outline", "things", "train", style="things", ink=True),
    Source("mdi", "things", "train", "{} food-{}", "things", ink=True),
    Source("fa6-solid", "things", "train", style="things", ink=True),
    Source("mingcute", "things", "train", "{}-fill", "things", ink=True),
    Source("fluent-emoji-flat", "things", "val"),
    Source("twemoji", "things", "test"),
    _signs("lucide"),  # the first: whole, and those of the web pages
    _signs("mdi"),
    _signs("material-symbols", "{}-outline-rounded {}-rounded", "rounded"),
    _signs("material-symbols", "{}-sharp {}", "sharp"),
    _signs("bi"),
    _signs("bi", "{}-fill", "fill"),
    _signs("ri", "{}-line", "line"),
    _signs("ri", "{}-fill", "fill"),
    _signs("heroicons"),
    _signs("heroicons", "{}-solid", "solid"),
    _signs("ion", "{}-outline", "outline"),
    _signs("ion", "{}-sharp", "sharp"),
    _signs("fa6-solid"),
    _signs("carbon"),
    _signs("fluent", "{}-24-regular {}-20-regular", "regular"),
    _signs("fluent", "{}-24-filled {}-20-filled", "filled"),
    _signs("iconoir"),
    _signs("octicon", "{}-24 {}-16"),
    _signs("ant-design", "{}-outlined", "outlined"),
    _signs("ant-design", "{}-filled", "filled"),
    _signs("uil"),
    _signs("solar", "{}-linear", "linear"),
    _signs("solar", "{}-bold", "bold"),
    _signs("mingcute", "{}-line", "line"),
    _signs("mingcute", "{}-fill", "fill"),
    _signs("gg"),
    _signs("jam"),
    _signs("ep"),
    _signs("akar-icons"),
    _signs("basil", "{}-outline"),
    _signs("mynaui"),
    _signs("majesticons", "{}-line", "line"),
    _signs("majesticons"),
    _signs("bx", "{} bx-{}"),
    _signs("bxs", "{} bxs-{}"),
    _signs("clarity", "{}-line"),
    _signs("icon-park-outline"),
    _signs("icon-park-solid"),
    _signs("pixelarticons"),
    Source("tabler", "signs", "val"),
    Source("ph", "signs", "test"),
    Source("openmoji", "flags", "train", "flag-{name}"),
    Source("flag", "flags", "train", "{}-4x3"),
    Source("flag", "flags", "train", "{}-1x1", "square"),
    Source("emojione", "flags", "train", "flag-for-{name} flag-{name}"),
    Source("flagpack", "flags", "train"),
    Source("cif", "flags", "train"),
    Source("circle-flags", "flags", "val"),
    Source("twemoji", "flags", "test", "flag-{name}"),
)
PACKAGES = tuple(sorted({source.package for source in SOURCES}))
TABLES = {"things": THINGS, "signs": SIGNS, "flags": COUNTRIES}
MORE = {"things": MORE_THINGS, "signs": MORE_SIGNS, "flags": ""}


def entries(kind: str) -> dict[str, list[str]]:
    """Names of a kind, in the table's order, with the slugs they may have."""
    return _parsed(TABLES[kind])


@lru_cache(maxsize=8)
def _parsed(table: str) -> dict[str, list[str]]:
    found = {}
    for entry in " ".join(table.split()).split(", ") if table else ():
        name, _, slugs = entry.partition("=")
        found[name] = (slugs or name.replace(" ", "-")).split("/")
    return found


@lru_cache(maxsize=1)
def mistaken() -> set[tuple[str, str]]:
    """Pairs of a set's name and an icon's that are left out."""
    listed = re.findall(r"(\S+) \(([^)]*)\)", MISTAKEN)
    return {(hand, name) for hand, names in listed for name in " ".join(names.split()).split(", ")}


class Drawings:
    """The SVGs of an `@iconify-json` package."""

    def __init__(self, archive: Path) -> None:
        with tarfile.open(archive) as opened:
            read = {name: opened.extractfile(f"package/{name}.json") for name in ("icons", "package", "info")}
            contents = {name: json.loads(file.read()) for name, file in read.items() if file}
        self._icons, self.package, self.info = contents["icons"], contents["package"], contents["info"]

    def source(self) -> dict[str, str]:
        """Name, version and licence for the pack's index."""
        name, licence = self.package["name"], self.info["license"]["spdx"]
        return {"name": name, "registry": "npm", "version": self.package["version"], "licence": licence}

    def svg(self, slugs: list[str]) -> str:
        """The drawing under the first slug that the set has. Raises KeyError where it has none."""
        icons, aliases = self._icons["icons"], self._icons.get("aliases", {})
        for slug in slugs:
            icon = icons.get(slug) or icons.get(aliases.get(slug, {}).get("parent"))
            if icon:
                wide, high = (icon.get(side, self._icons.get(side, 16)) for side in ("width", "height"))
                return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}">{icon["body"]}</svg>'
        raise KeyError(f"{self.package['name']} has none of {', '.join(slugs)}; the tables of sources/icons.py need a new slug")


def atlas_page(source: Source, drawings: Drawings) -> tuple[str, list[str]]:
    """An HTML page of all tiles of a set, 16 a row, on nothing; and their names. Raises KeyError where a set of val or test lacks one."""
    tiles, names = [], []
    for name, slugs in entries(source.kind).items():
        if (source.name, name) in mistaken():
            continue
        if source.split == "train":
            slugs = [*slugs, *_parsed(MORE[source.kind]).get(name, ()), name.lower().replace(" ", "-")]
        dashed = name.lower().replace(" ", "-")
        spelled = [
            spelling.format(slug, name=dashed, flat=slug.replace("-", "")) for slug in slugs for spelling in source.spelling.split(" ")
        ]
        try:
            svg = drawings.svg(spelled)
        except KeyError:
            if source.split == "train":
                continue
            raise
        # Each picture is a document of its own: gradients of two drawings may have the same id.
        tiles.append(f"<img src='data:image/svg+xml;utf8,{_escaped(svg)}'>")
        names.append(name)
    style = f"body{{margin:0;width:{SIDE * COLUMNS}px;font-size:0}}img{{width:{SIDE}px;height:{SIDE}px}}"
    return f"<!DOCTYPE html><style>{style}</style>{''.join(tiles)}", names


def encoded(source: Source, atlas: np.ndarray) -> bytes:
    """The atlas, uint8 [H, W, 4], as WebP: without loss in val and test; for training as small as looks the same."""
    data, atlas = io.BytesIO(), atlas.copy()
    if source.split == "train" and source.ink:
        # Black in 16 steps of opacity: 40 % smaller than in 256.
        atlas[:, :, :3] = 0
        atlas[:, :, 3] = (atlas[:, :, 3].astype(np.uint16) + 8) // 17 * 17
    if source.split == "train" and not source.ink:
        Image.fromarray(atlas).save(data, "WEBP", quality=QUALITY, alpha_quality=QUALITY, method=6)
    else:
        Image.fromarray(atlas).save(data, "WEBP", lossless=True, method=6)
    return data.getvalue()


def _escaped(svg: str) -> str:
    """For an address between single quotes."""
    return svg.replace("%", "%25").replace("#", "%23").replace("'", "%27").replace("<", "%3C").replace(">", "%3E")
